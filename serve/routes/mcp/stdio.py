"""The protocol over this process's standard input and output, for an assistant that starts it as a tool."""

from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version

import anyio
from anyio.to_thread import run_sync

from base.errors import RalmError
from retriever.request import Search
from retriever.retriever import Retriever
from serve.answering.finding import Found, Query, find
from serve.answering.places import Places
from serve.routes.mcp.tools import Tools


class Following:
    """A retriever that goes over to new generations as it is asked for."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever

    def __call__(self) -> Retriever:
        """The retriever of the current generation; of one that cannot be opened, what it hides is hidden."""
        try:
            self._retriever = self._retriever.refreshed()
        except (RalmError, OSError):
            with suppress(RalmError, OSError):
                self._retriever = self._retriever.hiding()
        return self._retriever


async def _found(retriever: Retriever, queries: Sequence[Query], search: Search) -> Found:
    return await run_sync(find, retriever, queries, search)


def tools_of(retriever: Retriever) -> Tools:
    """The tools over a retriever that is nobody else's."""
    return Tools(Following(retriever), Places(), _found)


def run(retriever: Retriever, base: str) -> None:
    """Answer until standard input ends. `base` is the address of the pages of passages."""
    from serve.routes.mcp.server import server_of

    anyio.run(server_of(tools_of(retriever), base, version("ralm")).run_stdio_async)
