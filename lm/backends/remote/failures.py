"""What a server answers instead of what was asked for: what may be tried again, and what it says.

Decisions: docs/decisions/remote-readers.md.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from base.errors import RalmError

# Characters of a server's own words that are shown.
_SHOWN = 300
# Statuses beside those from 500 on that pass: a time-out of the server's, a conflict, too many requests.
PASSING = (408, 409, 425, 429)
_NEVER = (501, 505)


class Broken(Exception):
    """A try that may succeed if it is made again. `after`: the seconds that the server asks to wait."""

    def __init__(self, came: str, after: float = 0.0) -> None:
        super().__init__(came)
        self.came, self.after = came, after


class Malformed(Broken):
    """An answer that is not what its route gives."""


class Rejected(RalmError):
    """A request that the server rejects for good. `status` is HTTP's."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


def require_ok(url: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raise Broken or Rejected for an answer that is none."""
    if 200 <= status < 300:
        return
    said = message(body, headers.get("content-type", ""))
    came = f"HTTP {status}" + (f": {said}" if said else "")
    if status in PASSING or (status >= 500 and status not in _NEVER):
        raise Broken(came, retry_after(headers.get("retry-after", "")))
    if 300 <= status < 400:
        place = headers.get("location", "")
        raise Rejected(f"{url} sends to another address ({came} {place}): give that one.", status)
    if status in (401, 403):
        mend = "put the server's key into the variable RALM_READER_KEY."
        raise Rejected(f"{url} refuses the key, or asks for one ({came}): {mend}", status)
    raise Rejected(f"{url} refuses the request ({came})", status)


def message(body: bytes, kind: str = "") -> str:
    """What a server says in an error: the text of its JSON, or what it sent, on one line and not too long."""
    try:
        return words(json.loads(body))
    except (ValueError, RecursionError):
        return "HTML" if is_html(body, kind) else _line(body[: 4 * _SHOWN].decode("utf-8", "replace"))


def words(found: Any) -> str:
    """The sentence in the JSON of an error, on one line and not too long."""
    return _line(_words(found))


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]} …"


def is_html(body: bytes, kind: str = "") -> bool:
    """Whether an answer is a page for people."""
    return "html" in kind or body.lstrip()[:100].lower().startswith((b"<!doctype", b"<html"))


def _words(found: Any) -> str:
    """The sentence in an error's JSON: under `error`, `message` or `detail`, nested or not."""
    if isinstance(found, dict):
        for name in ("error", "message", "detail", "msg"):
            if found.get(name):
                return _words(found[name])
        return ""
    if isinstance(found, list):
        return "; ".join(filter(None, map(_words, found)))
    return str(found)


def retry_after(text: str) -> float:
    """The seconds of a Retry-After header, which may be a date; 0 for none."""
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())
