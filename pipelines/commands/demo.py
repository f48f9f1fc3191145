"""`ralm demo`: a store of this machine's own documentation, three questions to it, and a page to ask more."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import as_executor
from pipelines.commands.stopping import end

_HOST = "127.0.0.1"


def demo(
    store: Annotated[Path, typer.Option("-o", "--output", help="the store's folder")] = Path("demo-store"),
    executor: Annotated[str, typer.Option(help="ray or local")] = "ray",
    serve: Annotated[bool, typer.Option("--serve", help="serve it at the end: a page to ask more")] = False,
    port: Annotated[int, typer.Option(help="TCP port, of --serve")] = 8000,
) -> None:
    """Build a store from this machine's Python documentation and answer three questions from it."""
    from pipelines.demo import run

    if not serve:
        run(store.absolute(), as_executor(executor))
        return
    from lm.batching import together
    from pipelines.show import answers
    from serve.answering.answerer import Answerer
    from serve.app import create_app
    from serve.listening import listen
    from serve.server import Server

    # Taken before the build: a port in use is worth knowing at once.
    with listen(_HOST, port) as listener:
        asked = run(store.absolute(), as_executor(executor))
        app = create_app(Answerer(asked.retriever, together(asked.reader)))
        del asked  # Under this name the generation of the start would stay open for as long as we serve.
        answers.serving(_HOST, listener.getsockname()[1])
        Server(app).run(sockets=[listener])
    end(0)
