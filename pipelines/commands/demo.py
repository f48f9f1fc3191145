"""`ralm demo`: a store of this machine's own documentation, and three questions to it."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import as_executor


def demo(
    store: Annotated[Path, typer.Option("-o", "--output", help="the store's folder")] = Path("demo-store"),
    executor: Annotated[str, typer.Option(help="ray or local")] = "ray",
) -> None:
    """Build a store from this machine's Python documentation and answer three questions from it."""
    from pipelines.demo import run

    run(store.absolute(), as_executor(executor))
