"""Options that several commands share, and the values that stand behind their names."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from base.errors import RalmError
from base.names import did_you_mean

if TYPE_CHECKING:
    from pipelines.config import SourceConfig


def locate(store: str) -> Path:
    """The folder of a store: itself, or the cache of one in object storage."""
    from datastore.objects import origin

    return origin.locate(store)


Store = Annotated[Path, typer.Argument(help="a datastore: its folder, or s3://...", parser=locate)]
Also = Annotated[
    list[Path] | None, typer.Option(help="search this store too (repeatable)", parser=locate, metavar="STORE")
]
ReaderName = Annotated[str, typer.Option("--reader", help="packaged name, GGUF, folder or hub name")]
ExecutorName = Annotated[
    str, typer.Option(help="ray (RAY_ADDRESS or this machine), local, or auto: ray, but small jobs here")
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="default: every CPU with ray, one process with local")
]
QuantizationName = Annotated[str, typer.Option("--quantization", help="none, int8, llm-int8 or nf4")]
EncoderPlace = Annotated[
    str | None, typer.Option("--encoder", help="where the store's encoder lies now, if it has moved")
]
QueryEncoderPlace = Annotated[
    str | None, typer.Option("--query-encoder", help="where its tower for queries lies now")
]
TextFields = Annotated[
    list[str] | None,
    typer.Option(
        "--text-field", help="field or column that holds the text; default: text, contents (repeatable)"
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="do not ask: for scripts")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]


def named_sources(
    paths: Sequence[str], domain: str | None = None, text_fields: Sequence[str] | None = None
) -> "list[SourceConfig]":
    """The sources of a command line, all of one domain, their texts in the first of the fields there is."""
    from pipelines.config import SourceConfig

    given = {"text_fields": tuple(text_fields)} if text_fields else {}
    return [SourceConfig(path=path, domain=domain, **given) for path in paths]


def as_executor(name: str) -> Literal["auto", "ray", "local"]:
    """What carries tasks out. Raises RalmError for another name."""
    if name == "auto":
        return "auto"
    if name == "ray":
        return "ray"
    if name == "local":
        return "local"
    near = did_you_mean(name, ("auto", "ray", "local"))
    raise RalmError(f"Unknown executor {name!r}: valid are auto, ray and local{near}")


def as_device(name: str) -> Literal["cpu", "cuda"]:
    """What computes. Raises RalmError for another name."""
    if name == "cpu":
        return "cpu"
    if name == "cuda":
        return "cuda"
    near = did_you_mean(name, ("cpu", "cuda"))
    raise RalmError(f"Unknown device {name!r}: valid are cpu and cuda{near}")


def as_place(name: str) -> Literal["auto", "memory", "disk"]:
    """Where an index lies. Raises RalmError for another name."""
    if name == "auto":
        return "auto"
    if name == "memory":
        return "memory"
    if name == "disk":
        return "disk"
    near = did_you_mean(name, ("memory", "disk", "auto"))
    raise RalmError(f"An index lies in memory, disk or auto, not in {name!r}{near}")
