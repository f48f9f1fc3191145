"""Data sets of the Hugging Face hub, streamed."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from datastore.errors import RalmError, Unavailable
from pipelines.readers.formats import Segment
from pipelines.readers.records import Intake, Record, one_line


def open_hub_dataset(path: str) -> Any:
    """Open `hf://NAME?config=C&split=S` for streaming. Raises RalmError if it cannot be had."""
    import datasets

    name, _, query = path.removeprefix("hf://").partition("?")
    options = dict(parse_qsl(query))
    if unknown := set(options) - {"config", "split"}:
        raise RalmError(f"{path}: unknown option {sorted(unknown)[0]}: use config= and split=.")
    try:
        return datasets.load_dataset(
            name, options.get("config"), split=options.get("split", "train"), streaming=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise Unavailable(f"The data set {path} cannot be opened: {reason}.") from None


def read(segment: Segment, intake: Intake) -> Iterator[Record]:
    """The rows of one shard of a data set."""
    dataset = open_hub_dataset(segment.path)
    shard = dataset.shard(num_shards=dataset.num_shards, index=segment.begin)
    # Row numbers are known within a shard only, so the shard is part of a default id.
    file = f"{segment.name}/{segment.begin}"
    try:
        for number, fields in enumerate(shard, 1):
            yield intake.from_fields(fields, file, number)
    except (OSError, ValueError, RuntimeError) as error:
        raise Unavailable(f"Reading {segment.path} failed: {one_line(error)}: try again.") from None
