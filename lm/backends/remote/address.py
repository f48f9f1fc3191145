"""Where a remote reader answers: addresses of servers, a model and settings, in one name. Asks nobody."""

import math
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlsplit

from base.errors import RalmError
from base.names import did_you_mean

_EXAMPLE = "http://localhost:8000/v1"
_SETTINGS = ("context", "start", "timeout")
# Seconds for a whole answer, or for the first piece of a streamed one: it may wait behind others.
DEFAULT_TIMEOUT = 600.0


@dataclass(frozen=True, slots=True)
class Address:
    """A model on one server or on several replicas of it.

    Written `URL[,URL...][?setting=value&...][#model]`. `context` is the most tokens that the model holds,
    `start` the text of the token that stands before a text's first one, `timeout` in seconds.
    """

    urls: tuple[str, ...]
    model: str = ""
    context: int | None = None
    start: str = ""
    timeout: float = DEFAULT_TIMEOUT

    @classmethod
    def of(cls, name: str) -> "Address":
        """Take a name apart. Raises RalmError for one that is no address."""
        places, _, model = name.partition("#")
        places, _, query = places.partition("?")
        urls = dict.fromkeys(_url(place.strip()) for place in places.split(","))
        settings = dict(parse_qsl(query, keep_blank_values=True))
        for one in settings:
            if one not in _SETTINGS:
                valid = ", ".join(_SETTINGS)
                raise RalmError(
                    f"Unknown setting {one!r} of a server: valid are {valid}{did_you_mean(one, _SETTINGS)}"
                )
        context = int(_number("context", settings["context"])) if "context" in settings else None
        timeout = _number("timeout", settings["timeout"]) if "timeout" in settings else DEFAULT_TIMEOUT
        return cls(tuple(urls), model, context, settings.get("start", ""), timeout)


def is_address(name: str) -> bool:
    """Whether a reader's name means a server."""
    return name.lower().startswith(("http://", "https://"))


def root(url: str) -> str:
    """Where a server's own routes begin, those that OpenAI's API does not have."""
    return url.removesuffix("/v1")


def _url(place: str) -> str:
    found = _split(place)
    if found.scheme not in ("http", "https") or not found.hostname:
        raise RalmError(f"{place!r} is no address of a server: write one like {_EXAMPLE}.")
    if found.username is not None or found.password is not None:
        # An address is shown in messages and reports.
        raise RalmError(
            f"The address of {found.hostname} holds a user or a password: leave them out, and put a key into "
            "the variable RALM_READER_KEY."
        )
    path = found.path.rstrip("/") or "/v1"
    if path.endswith(("/completions", "/models")):
        raise RalmError(f"{place} is one route of a server: end its address before it, as in {_EXAMPLE}.")
    return f"{found.scheme}://{found.netloc}{path}"


def _split(place: str) -> SplitResult:
    try:
        found = urlsplit(place)
        _ = found.port
    except ValueError as error:
        raise RalmError(f"{place!r} is no address of a server ({error}).") from None
    return found


def _number(name: str, text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 1 <= found < math.inf:
        raise RalmError(f"The setting {name} of a server must be a number of at least 1, not {text!r}.")
    return found
