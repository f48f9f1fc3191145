"""Options that several commands share, and the values that stand behind their names.

A record of options (`QueryEncoding`, `Sample`, `Loading`, `Prompting`) is one parameter of a command.
`cli.py` puts an option for each of its fields in its place. A field that is added here is an option of every
command that takes the record.

Decisions: docs/decisions/command-line.md.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from base.errors import RalmError
from base.names import did_you_mean
from lm.backends.quantizations import QUANTIZATIONS
from lm.backends.reader_choice import ReaderChoice
from lm.conditioning import Conditioning
from pipelines.readers.formats import READABLE

if TYPE_CHECKING:
    from datastore.generations.manifest import Device
    from datastore.view import View
    from lm.conditioning.shots import Shot
    from pipelines.config import SourceConfig
    from pipelines.execution.executor import ExecutorName
    from retriever.index.loading import Place
    from retriever.opened import Opening

Name = TypeVar("Name", bound=str)


def locate(store: str) -> Path:
    """The folder of a store: itself, or the cache of one in object storage."""
    from datastore.objects import origin

    return origin.locate(store)


def number(text: str) -> float:
    """A number as an option gives it. Raises typer's error, which names the option, for another text."""
    written = str(text)
    try:
        return float(written)
    except ValueError:
        mend = "one such as 0.1"
    if written.endswith("%"):
        with suppress(ValueError):
            mend = f"{float(written[:-1]) / 100:g}"
    raise typer.BadParameter(f"{written} is no number: write {mend}.")


def number_option(said: str) -> Any:
    """An option that takes a number; `said` is its help."""
    return typer.Option(parser=number, metavar="<float>", help=said)


Store = Annotated[Path, typer.Argument(help="a datastore: its folder, or s3://...", parser=locate)]
# Of a command whose settings may name it.
MaybeStore = Annotated[
    Path | None, typer.Argument(metavar="STORE", help="a datastore: its folder, or s3://...", parser=locate)
]
# A command that also asks services takes its text in the store's place there, as it stands.
StoreOrText = Annotated[
    str | None,
    typer.Argument(metavar="STORE", help="a datastore: its folder, or s3://...; left out with --url"),
]
Url = Annotated[str | None, typer.Option(help="ask this service, http://..., instead of opening a store")]
Also = Annotated[
    list[Path] | None, typer.Option(help="search this store too (repeatable)", parser=locate, metavar="STORE")
]
_SOURCES = typer.Argument(help=f"files, folders and s3:// prefixes of {READABLE}; hf://NAME?config=C&split=S")
Sources = Annotated[list[str], _SOURCES]
AnySources = Annotated[list[str] | None, _SOURCES]
Domain = Annotated[str | None, typer.Option(help="domain of all records of SOURCES")]
Limit = Annotated[int | None, typer.Option(help="read only the first documents")]
IndexKey = Annotated[str | None, typer.Option(help="auto, Flat, IVF1024,PQ96x4fs, ...")]
IndexMemory = Annotated[str | None, typer.Option(help="memory for the index, 4GiB")]
IndexRecall = Annotated[float | None, number_option("recall@10 to aim at, 0.95")]
ReaderName = Annotated[
    str, typer.Option("--reader", help="packaged name, GGUF, folder, hub name or server URL")
]
ExecutorOption = Annotated[
    str, typer.Option(help="ray (RAY_ADDRESS or this machine), local, or auto: ray, but small jobs here")
]
SearchDevice = Annotated[str, typer.Option("--device", help="cpu or cuda: what encodes and searches")]
IndexIn = Annotated[str, typer.Option("--index-in", help="memory, disk, or auto: memory if it fits")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="default: every CPU with ray, one process with local")
]
ReaderDevice = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, or auto: a GPU if there is one")]
Budget = Annotated[int, typer.Option(help="tokens of passages in a prompt")]
MethodName = Annotated[str | None, typer.Option(help="dense, bm25 or hybrid (default, if it can)")]
Domains = Annotated[list[str] | None, typer.Option(help="only of this domain (repeatable)")]
Conditions = Annotated[list[str] | None, typer.Option(help="only what has it so: year>=2010 (repeatable)")]
TextFields = Annotated[
    list[str] | None,
    typer.Option(
        "--text-field", help="field or column that holds the text; default: text, contents (repeatable)"
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask: for scripts")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]

_QUANTIZATIONS = f"{', '.join(QUANTIZATIONS[:-1])} or {QUANTIZATIONS[-1]}"
_USUAL = Conditioning()


@dataclass(frozen=True, slots=True)
class QueryEncoding:
    """Where the encoders of a store lie now."""

    encoder: Annotated[
        str | None, typer.Option(help="where the store's encoder lies now, if it has moved")
    ] = None
    query_encoder: Annotated[str | None, typer.Option(help="where its tower for queries lies now")] = None

    def opening(self, device: str = "cpu", index_in: str = "auto", *, words_only: bool = False) -> "Opening":
        """How a store is opened with them. Raises RalmError for an unknown device or place."""
        from retriever.opened import Opening

        place = as_place(index_in)
        return Opening(as_device(device), place, self.encoder, self.query_encoder, words_only)


@dataclass(frozen=True, slots=True)
class Sample:
    """The share of a store that is searched."""

    fraction: Annotated[float, number_option("search a sample of the store")] = 1.0
    seed: Annotated[int, typer.Option(min=0, help="which sample")] = 0

    def view(self, domains: Sequence[str] | None = None, conditions: Sequence[str] | None = None) -> "View":
        """The view of it. Raises RalmError for a share or a condition that is none."""
        from datastore.conditions import Condition
        from datastore.view import View

        where = tuple(Condition.parse(text) for text in conditions or ())
        return View(self.fraction, self.seed, tuple(domains or ()), where)

    def fields(
        self, domains: Sequence[str] | None = None, conditions: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """The same view as a service takes it, which says what is wrong with it."""
        return {
            "fraction": self.fraction,
            "seed": self.seed,
            "domains": [*(domains or ())],
            "where": [*(conditions or ())],
        }


@dataclass(frozen=True, slots=True)
class Loading:
    """How a reader is loaded."""

    quantization: Annotated[
        str | None, typer.Option(help=f"{_QUANTIZATIONS}; default: int8, or as the weights are stored")
    ] = None
    adapter: Annotated[
        str | None, typer.Option(help="folder of a PEFT adapter, for prompts that hold passages")
    ] = None
    reader_device: ReaderDevice = "auto"
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="load weights that are pickles, which may run code")
    ] = False

    def choice(self, reader: str) -> ReaderChoice:
        """The reader of this name, so loaded. Raises RalmError for what plainly names none."""
        choice = ReaderChoice(reader, self.quantization, self.adapter, self.reader_device, self.allow_pickle)
        choice.require()
        return choice


@dataclass(frozen=True, slots=True)
class Prompting:
    """How passages are put to a reader."""

    budget: Budget = _USUAL.budget
    conditioning: Annotated[
        str, typer.Option(help="prepend: passages in one prompt; replug: one prompt for each, mixed; none")
    ] = _USUAL.kind
    neighbours: Annotated[
        int, typer.Option(help="chunks that a passage is widened by on each side, within the budget")
    ] = _USUAL.neighbours
    replug_temperature: Annotated[float, number_option("of the weights that scores make")] = (
        _USUAL.replug_temperature
    )
    prompt: Annotated[
        str, typer.Option(help="chat: the reader's template; few-shot: plain text with examples")
    ] = _USUAL.prompt
    shots: Annotated[
        Path | None, typer.Option(help="question file with answers: the examples of a few-shot prompt")
    ] = None

    def of(self, passages: int) -> Conditioning:
        """The conditioning of so many passages. Raises RalmError for what is none."""
        return Conditioning(
            self.conditioning,  # type: ignore[arg-type]
            passages,
            self.budget,
            self.neighbours,
            self.replug_temperature,
            self.prompt,  # type: ignore[arg-type]
            as_shots(self.shots),
        )


def named_sources(
    paths: Sequence[str], domain: str | None = None, text_fields: Sequence[str] | None = None
) -> "list[SourceConfig]":
    """The sources of a command line, all of one domain, their texts in the first of the fields there is."""
    from pipelines.config import SourceConfig

    given = {"text_fields": tuple(text_fields)} if text_fields else {}
    return [SourceConfig(path=path, domain=domain, **given) for path in paths]


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(name for one in text.split(",") if (name := one.strip()))


def as_executor(name: str) -> "ExecutorName":
    """What carries tasks out. Raises RalmError for another name."""
    return _one_of(
        ("auto", "ray", "local"), name, f"Unknown executor {name!r}: valid are auto, ray and local"
    )


def as_device(name: str) -> "Device":
    """What computes. Raises RalmError for another name."""
    return _one_of(("cpu", "cuda"), name, f"Unknown device {name!r}: valid are cpu and cuda")


def as_place(name: str) -> "Place":
    """Where an index lies. Raises RalmError for another name."""
    return _one_of(
        ("memory", "disk", "auto"), name, f"An index lies in memory, disk or auto, not in {name!r}"
    )


def as_shots(path: Path | None) -> "tuple[Shot, ...]":
    """The examples of a question file, each with its first answer; ralm's own without a file."""
    from lm.conditioning.shots import SHOTS, Shot
    from pipelines.questions import read_questions

    if path is None:
        return SHOTS
    questions = read_questions(path).questions
    if lacking := [one.id for one in questions if not one.answers]:
        raise RalmError(f"Question {lacking[0]} of {path.name} has no `answers`: an example needs one.")
    return tuple(Shot(one.text, one.answers[0]) for one in questions)


def _one_of(valid: tuple[Name, ...], name: str, unknown: str) -> Name:
    """The valid name that is given, or an error that says so, and which is nearest."""
    for one in valid:
        if one == name:
            return one
    raise RalmError(f"{unknown}{did_you_mean(name, valid)}")
