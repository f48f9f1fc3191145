"""Replies that come in pieces, as server-sent events: each event is a line of JSON. Knows no dialect.

Decisions: docs/decisions/serving.md.
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sse_starlette.sse import EventSourceResponse

from base.errors import RalmError
from base.numbers import dumps
from serve.queues.reading import Reading
from serve.routes.errors import error_of

_log = logging.getLogger("uvicorn.error")
# What ends a line to some readers of lines, and stands as it is in JSON.
_LINE_ENDS = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


@dataclass(frozen=True, slots=True)
class Event:
    """One event: what it says, and its name in dialects that name them."""

    data: Mapping[str, Any]
    name: str | None = None


def error_event(error: BaseException) -> Event:
    """What a stream that breaks off says last, as OpenAI's chat does."""
    return Event({"error": error_of(error)})


@dataclass(frozen=True, slots=True)
class Ending:
    """How a dialect's streams end: with a last line, where it has one; and how one says that it broke off."""

    done: str | None = "[DONE]"
    broken: Callable[[BaseException], Event] = error_event


OF_CHAT = Ending()


def streamed(
    events: Iterable[Event], reading: Reading, close: Callable[[], None], ending: Ending = OF_CHAT
) -> EventSourceResponse:
    """A reply of events as they come. `close` is called at the end: also when the client has gone."""
    return EventSourceResponse(_lines(events, reading, close, ending), sep="\n")


async def _lines(
    events: Iterable[Event], reading: Reading, close: Callable[[], None], ending: Ending
) -> AsyncIterator[dict[str, str]]:
    try:
        async for event in reading.each(events):
            yield _line(event)
        if ending.done is not None:
            yield {"data": ending.done}
    except Exception as error:  # noqa: BLE001  (the client sees that the answer is cut off, and why)
        if not isinstance(error, RalmError):
            _log.exception("A stream broke off.")
        yield _line(ending.broken(error))
    finally:
        # The model must not go on for nobody.
        close()


def _line(event: Event) -> dict[str, str]:
    named = {} if event.name is None else {"event": event.name}
    return named | {"data": dumps(event.data).translate(_LINE_ENDS)}
