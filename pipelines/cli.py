"""`ralm`: the commands in the order of its help, and how what goes wrong ends them.

Decisions: docs/decisions/command-line.md.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from importlib.metadata import version
from inspect import signature
from typing import Annotated, Any

import typer

from base.errors import RalmError
from datastore.files.refusals import refused
from pipelines.commands import upkeep
from pipelines.commands.ask import ask
from pipelines.commands.build import build
from pipelines.commands.demo import demo
from pipelines.commands.evaluating.mixtures import mixtures
from pipelines.commands.evaluating.perplexity import perplexity
from pipelines.commands.evaluating.questions import questions
from pipelines.commands.evaluating.report import report
from pipelines.commands.evaluating.retrieval import retrieval
from pipelines.commands.evaluating.scaling import scaling
from pipelines.commands.evaluating.tasks import tasks
from pipelines.commands.plan import plan
from pipelines.commands.search import search
from pipelines.commands.serve import key, mcp, serve
from pipelines.commands.stopping import Stoppable
from pipelines.commands.tune import tune

# Torch, FAISS and Ray take seconds to import: each command imports what it needs.
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
evaluation = typer.Typer(no_args_is_help=True, help="Measure what a larger datastore buys.")
app.add_typer(evaluation, name="eval")


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """A command as Typer takes it: each parameter that is a record of options gives way to its fields.

    A parameter is one if its default is a dataclass, whose values are the defaults of the options.
    """
    own = signature(command)
    taken = own.parameters.items()
    records: dict[str, type[Any]] = {
        name: type(one.default) for name, one in taken if is_dataclass(one.default)
    }

    @wraps(command)
    def call(**given: Any) -> None:
        for name, record in records.items():
            given[name] = record(**{field.name: given.pop(field.name) for field in fields(record)})
        command(**given)

    options = []
    for name, one in taken:
        of_record = signature(records[name]).parameters.values() if name in records else ()
        options += [field.replace(default=getattr(one.default, field.name)) for field in of_record] or [one]
    call.__signature__ = own.replace(parameters=options)  # type: ignore[attr-defined]
    return call


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
    mcp,
    key,
    tune,
    demo,
):
    # What ends with a text says itself what becomes of further words.
    app.command(context_settings={"allow_extra_args": command in (search, ask)})(spread(command))
evaluation.command()(spread(scaling))
evaluation.command()(spread(report))
evaluation.command()(spread(retrieval))
evaluation.command()(spread(mixtures))
evaluation.command()(spread(questions))
evaluation.command()(spread(perplexity))
evaluation.command()(spread(tasks))


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
