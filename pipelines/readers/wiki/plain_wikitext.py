"""The running text of wikitext that no parser gets through, in time that grows with its length alone.

Coarser than `wikitext.py`: a mark that nothing closes is left out and its text stays.

Decisions: docs/decisions/readers-and-damage.md.
"""

import html
import re
from collections import Counter
from collections.abc import Collection

from pipelines.readers.wiki.wikitext_names import BREAKING_TAGS, UNSEEN_TAGS, is_unseen

_TOKEN = re.compile(
    r"""(?P<mark>\{\{ | \}\} | \[\[ | \]\] | ^[ \t]?\{\| | ^[ \t]?\|\})
    | <(?P<end>/?)(?P<tag>[a-z][a-z0-9]*+)(?P<attributes>[^<>]*+)>
    | \[(?:[a-z]+:|//)[^\s\[\]]*[ ]? | [\[\]]""",
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)
_OPENS = {"}}": "{{", "]]": "[[", "|}": "{|"}
# Links in links are joined again at each level.
_MOST_LINKS = 10


def clean(wikitext: str, unseen: Collection[str]) -> str:
    """The text outside templates, tables, comments and tags that are not shown, and the words of links."""
    text = _without_comments(wikitext)
    page, at = _Page(unseen), 0
    for found in _TOKEN.finditer(text):
        page.text(text[at : found.start()])
        at = found.end()
        if found["mark"]:
            page.mark(found["mark"].strip())
        elif found["tag"]:
            page.tag(found["tag"].lower(), bool(found["end"]), found["attributes"].endswith("/"))
    page.text(text[at:])
    return "\n".join(map(_line, _ENTITY.sub(_character, page.found()).split("\n")))


def _without_comments(text: str) -> str:
    """As a browser shows it: a comment without an end goes to the end."""
    kept, at = [], 0
    while (begin := text.find("<!--", at)) >= 0:
        kept.append(text[at:begin])
        end = text.find("-->", begin)
        at = end + 3 if end >= 0 else len(text)
    return "".join((*kept, text[at:]))


def _character(found: re.Match[str]) -> str:
    return html.unescape(found[0])


def _line(line: str) -> str:
    """A line without the marks of headings and lists."""
    if line.startswith("=") and line.rstrip().endswith("="):
        return f"\n{line.strip().strip('=').strip()}\n"
    return line.lstrip("*#:;") if not line.startswith("|") else line.lstrip("|-!")


class _Page:
    """What is found so far; `_open` are marks that may still be closed, and where what is in them begins."""

    def __init__(self, unseen: Collection[str]) -> None:
        self._unseen = unseen
        self._pieces: list[str] = []
        self._open: list[tuple[str, int]] = []
        self._counts = Counter[str]()

    def text(self, text: str) -> None:
        self._pieces.append(text)

    def found(self) -> str:
        return "".join(self._pieces)

    def mark(self, mark: str) -> None:
        if mark not in _OPENS:
            self._begin(mark)
        elif (begin := self._end(_OPENS[mark])) is not None:
            inside = self._pieces[begin:] if mark == "]]" else []
            del self._pieces[begin:]
            self._pieces.append(self._link("".join(inside)))

    def tag(self, name: str, ends: bool, alone: bool) -> None:
        if name in BREAKING_TAGS:
            self._pieces.append("\n")
        if name not in UNSEEN_TAGS or alone:
            return
        if not ends:
            self._begin(name)
        elif (begin := self._end(name)) is not None:
            del self._pieces[begin:]

    def _begin(self, kind: str) -> None:
        if kind != "[[" or self._counts[kind] < _MOST_LINKS:
            self._open.append((kind, len(self._pieces)))
            self._counts[kind] += 1

    def _end(self, kind: str) -> int | None:
        """Where the latest mark of a kind began; None if none is open."""
        while self._counts[kind]:
            latest, begin = self._open.pop()
            self._counts[latest] -= 1
            if latest == kind:
                return begin
        return None

    def _link(self, inside: str) -> str:
        """The words of a link: behind its first bar, if there is one."""
        target, bar, words = inside.partition("|")
        if is_unseen(target, self._unseen):
            return ""
        return words if bar else target.lstrip(":")
