"""`ralm tune`: a store and questions to an adapter, with which a reader reads passages better."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from base.errors import RalmError
from lm.backends.reader_choice import ReaderChoice
from lm.backends.remote.address import is_address
from lm.backends.weights import PLAIN_READER
from pipelines.commands.options import QueryEncoding, ReaderDevice, locate

if TYPE_CHECKING:
    from pipelines.tuning.collecting import Corpus

_STORE = typer.Argument(help="a datastore: its folder, or s3://...", parser=locate)
_QUESTIONS = typer.Argument(help="JSON Lines: question and answers, or choices and answer_index")


def tune(  # noqa: PLR0913
    output: Annotated[Path, typer.Option("-o", "--output", help="folder for lessons and adapter")],
    store: Annotated[Path | None, _STORE] = None,
    questions: Annotated[list[Path] | None, _QUESTIONS] = None,
    held_out: Annotated[
        Path | None, typer.Option(help="JSON: beginnings of ids that are not learnt from")
    ] = None,
    titles: Annotated[int, typer.Option(min=0, help="also ask what so many documents' titles are")] = 0,
    draws: Annotated[int, typer.Option(min=1, help="how often lessons are drawn of each question")] = 1,
    prepare: Annotated[bool, typer.Option("--prepare", help="write the lessons, and learn nothing")] = False,
    reader: Annotated[str, typer.Option(help="packaged name, GGUF, folder or hub name")] = PLAIN_READER,
    quantization: Annotated[
        str | None,
        typer.Option(help="of the weights below the adapter, as for ask; default: as they are stored"),
    ] = None,
    reader_device: ReaderDevice = "auto",
    rank: Annotated[int, typer.Option(help="of the adapter's matrices")] = 16,
    epochs: Annotated[float, typer.Option(help="how often each lesson is learnt")] = 1.0,
    rate: Annotated[float, typer.Option(help="the highest learning rate")] = 6e-4,
    rows: Annotated[int, typer.Option(help="packed rows of a step")] = 8,
    width: Annotated[int, typer.Option(help="tokens of a row")] = 2048,
    encoding: QueryEncoding = QueryEncoding(),
) -> None:
    """Teach a reader to read passages: lessons of a store and questions, then an adapter learnt from them.

    Without a store, learn the lessons that a folder holds already.
    """
    choice = ReaderChoice(reader, quantization, device=reader_device)
    choice.require()
    if is_address(reader) and not prepare:
        raise RalmError(
            f"{reader} is a server, whose weights cannot be taught: name a folder, a GGUF file or a packaged "
            "reader."
        )
    from lm.tuning.training import Recipe
    from pipelines.execution.progress import for_terminal
    from pipelines.show import tunings
    from pipelines.tuning.collecting import Wanted
    from pipelines.tuning.tuning import EXAMPLES, learn
    from pipelines.tuning.tuning import prepare as write

    recipe = Recipe(rank=rank, alpha=2 * rank, epochs=epochs, rate=rate, rows=rows, width=width)
    progress = for_terminal()
    there = (output / EXAMPLES).exists()
    if store is None and not there:
        raise RalmError(f"{output} holds no {EXAMPLES}: name a store and question files to make them of.")
    if store is not None and not there:
        if not questions and not titles:
            raise RalmError("A tuning needs question files, or --titles: add them behind the store.")
        corpus = _corpus(store, held_out, encoding)
        wanted = Wanted(tuple(questions or ()), titles, draws)
        tunings.collected(write(corpus, wanted, output, progress), output)
    elif there:
        progress.say(
            f"{output / EXAMPLES} is there already: its lessons are learnt. Others need another folder."
        )
    if not prepare:
        tunings.tuned(learn(choice, recipe, output, progress), output)


def _corpus(store: Path, held_out: Path | None, encoding: QueryEncoding) -> "Corpus":
    from pipelines.tuning.collecting import Corpus
    from pipelines.tuning.held_out import HeldOut
    from retriever.local import LocalRetriever
    from retriever.request import Method

    kept_apart = HeldOut.read(held_out) if held_out else HeldOut()
    return Corpus(LocalRetriever.open(store, encoding.opening()), Method(), kept_apart)
