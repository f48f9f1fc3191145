"""Data sets of the Hugging Face hub, streamed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from datastore.errors import RalmError, Unavailable
from pipelines.readers.formats import Segment
from pipelines.readers.records import Intake, Record, one_line

# How long the hub may take to say which commit a set is at.
_SECONDS = 20.0


def pinned(path: str) -> str:
    """The path of a data set as it is today: with the commit as its `revision`, unless it states one.

    A set may be changed while it is read, or before a build goes on. Where the hub cannot be asked, as for a
    folder or without a network, it stays as it is.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    name, options = _parts(path)
    if "revision" in options or Path(name).exists():
        return path
    try:
        commit = HfApi().dataset_info(name, timeout=_SECONDS).sha
    except (OSError, HfHubHTTPError, HFValidationError):
        return path
    return f"hf://{name}?{urlencode({**options, 'revision': commit})}" if commit else path


def revision_of(path: str) -> str:
    """The revision that a path states; empty if none."""
    return _parts(path)[1].get("revision", "")


def _parts(path: str) -> tuple[str, dict[str, str]]:
    """Name and options of a data set. Raises RalmError for an option that there is not."""
    name, _, query = path.removeprefix("hf://").partition("?")
    options = dict(parse_qsl(query))
    if unknown := set(options) - {"config", "split", "revision"}:
        raise RalmError(f"{path}: unknown option {sorted(unknown)[0]}: use config=, split= and revision=.")
    return name, options


def open_hub_dataset(path: str) -> Any:
    """Open `hf://NAME?config=C&split=S&revision=R` for streaming. Raises RalmError if it cannot be had."""
    import datasets

    name, options = _parts(path)
    try:
        return datasets.load_dataset(
            name,
            options.get("config"),
            split=options.get("split", "train"),
            revision=options.get("revision"),
            streaming=True,
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
