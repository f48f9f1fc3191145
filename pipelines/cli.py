"""`ralm`: the commands in the order of its help, and how what goes wrong ends them.

Decisions: docs/decisions/command-line.md.
"""

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from base.errors import RalmError
from datastore.files.refusals import refused
from pipelines.commands import upkeep
from pipelines.commands.ask import ask
from pipelines.commands.build import build
from pipelines.commands.demo import demo
from pipelines.commands.perplexity import perplexity
from pipelines.commands.plan import plan
from pipelines.commands.scaling import scaling
from pipelines.commands.search import search
from pipelines.commands.serve import serve
from pipelines.commands.stopping import Stoppable
from pipelines.commands.tasks import tasks
from pipelines.commands.tune import tune

# Torch, FAISS and Ray take seconds to import: each command imports what it needs.
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
evaluation = typer.Typer(no_args_is_help=True, help="Measure what a larger datastore buys.")
app.add_typer(evaluation, name="eval")


# In the order of `ralm --help`.
for command in (
    build,
    plan,
    upkeep.add,
    upkeep.delete,
    upkeep.compact,
    upkeep.discard,
    upkeep.sweep,
    upkeep.status,
    upkeep.verify,
    search,
    upkeep.card,
    ask,
    serve,
    tune,
    demo,
):
    # What ends with a text says itself what becomes of further words.
    app.command(context_settings={"allow_extra_args": command in (search, ask)})(command)
evaluation.command()(scaling)
evaluation.command()(perplexity)
evaluation.command()(tasks)


def _say_version(asked: bool) -> None:
    if asked:
        from pipelines.show.terminal import console

        console.print(f"ralm {version('ralm')}")
        raise typer.Exit


@app.callback()
def ralm(
    _: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    """Build a datastore, query it and the LM that reads it, measure what it buys."""


def main() -> None:
    """Run the command line: what the user can mend is one sentence and exit code 2."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with Stoppable(sys.argv[1:]):
        try:
            app()
        except RalmError as error:
            sys.stderr.write(f"ralm: {error}\n")
            sys.exit(2)
        except BrokenPipeError:
            # The reader of our output has gone, as `ralm search ... | head` does.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
        except OSError as error:
            sys.stderr.write(f"ralm: {refused(error)}\n")
            sys.exit(2)


if __name__ == "__main__":
    main()
