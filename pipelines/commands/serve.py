"""`ralm serve`: search and answers over HTTP. `ralm mcp`: a store as an assistant's tool."""

from typing import Annotated

import typer

from base.errors import RalmError
from lm.backends.registry import open_reader
from lm.backends.weights import DEFAULT_READER
from pipelines.commands.options import (
    Also,
    IndexIn,
    Loading,
    QueryEncoding,
    ReaderName,
    SearchDevice,
    Store,
)
from pipelines.commands.stopping import end


def serve(  # noqa: PLR0913
    store: Store,
    port: Annotated[int, typer.Option(help="TCP port")] = 8000,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    reader: ReaderName = DEFAULT_READER,
    loading: Loading = Loading(),
    device: SearchDevice = "cpu",
    index_in: IndexIn = "auto",
    encoding: QueryEncoding = QueryEncoding(),
    also: Also = None,
    searchers: Annotated[int, typer.Option(min=0, help="Ray searchers for each store; 0: none")] = 0,
    partial: Annotated[bool, typer.Option("--partial", help="answer without a lost searcher")] = False,
) -> None:
    """Serve search and chat completions over HTTP (see /docs)."""
    choice = loading.choice(reader)
    if partial and not searchers:
        raise RalmError("--partial is for lost searchers: give --searchers too, or leave it out.")
    from lm.batching import together
    from pipelines.commands.stores import open_stores
    from pipelines.show import answers
    from serve.answering.answerer import Answerer
    from serve.app import create_app
    from serve.listening import listen
    from serve.server import Server

    # Taken before the models load: a port in use is worth knowing at once.
    with listen(host, port) as listener:
        opening = encoding.opening(device, index_in)
        retriever = open_stores([store, *(also or [])], opening, searchers, partial)
        answers.loading(reader)
        answerer = Answerer(retriever, together(open_reader(choice)))
        del retriever  # Under this name the generation of the start would stay open for as long as we serve.
        answers.serving(host, listener.getsockname()[1])
        Server(create_app(answerer), answerer.reader).run(sockets=[listener])
    end(0)


def mcp(  # noqa: PLR0913
    store: Store,
    url: Annotated[str, typer.Option(help="address of a `ralm serve` whose pages show passages")] = "",
    device: SearchDevice = "cpu",
    index_in: IndexIn = "auto",
    encoding: QueryEncoding = QueryEncoding(),
    also: Also = None,
) -> None:
    """Offer a store to an assistant: the Model Context Protocol over stdin and stdout."""
    if url and not url.startswith(("http://", "https://")):
        raise RalmError(f"--url {url} is no address of a service: write it as http://127.0.0.1:8000.")
    from pipelines.commands.stores import open_stores
    from serve.routes.mcp.stdio import run

    # Without a service a passage has no page: `ralm:` names it all the same.
    run(open_stores([store, *(also or [])], encoding.opening(device, index_in)), url.rstrip("/") or "ralm:")
    end(0)
