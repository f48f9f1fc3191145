"""Threads that wait for the reader. They are not those of searches: a search does not wait behind chats.

Decisions: docs/decisions/batching.md.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import ParamSpec, TypeVar

import anyio

from lm.batching import WAITING
from lm.pending import Asker

# Whoever waits for the reader, and the largest batch.
_THREADS = WAITING + 64
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Reading:
    """Calls that wait for the reader, each in a thread."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(_THREADS)

    async def run(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """What a call gives. If whoever asked has gone, nobody waits for it, and the reader leaves it."""
        asker = Asker()
        try:
            return await anyio.to_thread.run_sync(
                lambda: asker.ask(call, *args, **kwargs), limiter=self._limiter, abandon_on_cancel=True
            )
        except BaseException:  # Of several texts one may have been refused: nobody waits for the others.
            asker.leave()
            raise

    async def each(self, pieces: Iterable[_T]) -> AsyncIterator[_T]:
        """The pieces as they come."""
        iterator, end = iter(pieces), object()
        while (piece := await self.run(next, iterator, end)) is not end:
            yield piece  # type: ignore[misc]
