"""Data sets of the Hugging Face hub, streamed."""

import lzma
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from gzip import BadGzipFile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import zstandard

from base.errors import RalmError, Unavailable
from base.foreign import Refused, ask
from datastore.schema import Document
from pipelines.readers.records import Doubtful, Intake, Record, Unreadable, one_line
from pipelines.readers.segment import Segment
from pipelines.readers.tables.columns import value_of

# How long the hub may take to say which commit a set is at.
_SECONDS = 20.0
_COMMIT = re.compile("[0-9a-f]{40}")
# What is raised for compressed data, after some of them were read: no connection is at fault.
_DAMAGE = (zlib.error, lzma.LZMAError, zstandard.ZstdError)


def at_commit(path: str) -> str:
    """The path of a data set with the commit that it, or its branch, is at now as the `revision`.

    A set may be changed while it is read, or before a build goes on. A folder, and any set in offline mode
    (`HF_HUB_OFFLINE`), stays as it is. Raises Unavailable if the hub does not answer.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled

    name, options = _parts(path)
    if _COMMIT.fullmatch(options.get("revision", "")) or Path(name).exists():
        return path
    with _asked(path, "opened", ValueError, RuntimeError):
        try:
            commit = HfApi().dataset_info(name, revision=options.get("revision"), timeout=_SECONDS).sha
        except (HFValidationError, OfflineModeIsEnabled):
            return path  # Opening it tells what is wrong with it, if anything is.
    return with_revision(path, commit) if commit else path


def with_revision(path: str, commit: str) -> str:
    """The path of a data set as it was at a commit."""
    name, options = _parts(path)
    return f"hf://{name}?{urlencode({**options, 'revision': commit})}"


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
    with _asked(path, "opened", ValueError, RuntimeError):
        return datasets.load_dataset(
            name,
            options.get("config"),
            split=options.get("split", "train"),
            revision=options.get("revision"),
            streaming=True,
        )


def read(segment: Segment, intake: Intake) -> Iterator[Record]:
    """The rows of one shard of a data set."""
    dataset = _without_media(open_hub_dataset(segment.path))
    shard = dataset.shard(num_shards=dataset.num_shards, index=segment.begin)
    # Row numbers are known within a shard only, so the shard is part of a default id.
    file = f"{segment.name}/{segment.begin}"
    documents = 0
    for number, fields in enumerate(_rows(shard, segment.path), 1):
        if isinstance(fields, Refused):
            yield Unreadable(file, number, f"the rows cannot be read from here on ({fields})")
            if documents and isinstance(fields.__cause__, _DAMAGE):
                reason = f"the data that they stand in are damaged behind them: {fields}"
                intake.doubtful.append(Doubtful(file, 1, number - 1, documents, reason))
        else:
            record = intake.from_fields(fields, file, number)
            documents += isinstance(record, Document)
            yield record


def _without_media(dataset: Any) -> Any:
    """A data set without pictures, sound and the like: they are no metadata, and one may be broken."""
    import datasets
    from datasets.features.features import require_decoding

    features = dataset.features or {}
    read = [n for n, f in features.items() if isinstance(f, dict | datasets.Json) or not require_decoding(f)]
    return dataset if len(read) == len(features) else dataset.select_columns(read)


def _rows(shard: Any, path: str) -> Iterator[Mapping[str, Any] | Refused]:
    """Every row, and if it cannot be read to its end, why.

    The library makes a row's values on its way, and comes to an end at one that has none in Python. What is
    left is read as rows of Arrow then, and the values of each are made alone.
    """
    from datasets.formatting import get_formatter

    read, rows = 0, iter(shard)
    try:
        while (fields := ask(_next, rows, path)) is not None:
            read += 1
            yield fields
        return
    except Refused:
        formatter = get_formatter("python", features=shard.features)
    rows = iter(shard.with_format("arrow").skip(read))
    try:
        while (row := ask(_next, rows, path)) is not None:
            yield _values(formatter, row)
    except Refused as error:
        yield error


def _values(formatter: Any, row: Any) -> Mapping[str, Any]:
    """The values of a row of Arrow; of one that the library cannot make, those that can be read."""
    try:
        values: Mapping[str, Any] = ask(formatter.format_row, row)
    except Refused:
        return {name: value_of(column[0]) for name, column in zip(row.column_names, row.columns, strict=True)}
    return values


def _next(rows: Iterator[Any], path: str) -> Any:
    """The next row, None behind the last. Raises Unavailable for what may be the connection's fault."""
    with _asked(path, "read on", RuntimeError):
        try:
            return next(rows, None)
        except BadGzipFile as error:
            # An OSError, yet of the data.
            raise zlib.error(str(error)) from error


@contextmanager
def _asked(path: str, done: str, *faults: type[Exception]) -> Iterator[None]:
    """Turn what the hub says, or its silence, into a sentence."""
    # The hub's library passes on what its client raises, in one version httpx, in another its successor.
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    kinds: tuple[type[Exception], ...] = (OSError, httpx.HTTPError, *faults)
    try:
        yield
    except kinds as error:
        raise Unavailable(f"The data set {path} cannot be {done}: {one_line(error)}.") from None
