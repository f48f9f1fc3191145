"""Texts to be scored, read as a build reads its sources."""

from collections.abc import Iterator, Sequence

from base.amounts import amount
from base.errors import RalmError
from datastore.schema import Document
from pipelines.config import BuildConfig, SourceConfig
from pipelines.corpus.sources import resolve
from pipelines.readers.records import Intake, Unreadable


def read_texts(
    sources: Sequence[SourceConfig], limit: int | None = None
) -> tuple[list[str], tuple[str, ...]]:
    """The texts of sources that hold anything, the first `limit` of them, and notes on what cannot be read.

    Raises RalmError if there are none.
    """
    if limit is not None and limit < 1:
        raise RalmError(f"The limit of texts must be at least 1, not {limit}.")
    unreadable: list[Unreadable] = []
    found: list[str] = []
    for document in _read(sources, unreadable):
        if len(found) == limit:
            break
        if document.text.strip():
            found.append(document.text)
    if not found:
        why = f": {unreadable[0].reason}" if unreadable else ""
        raise RalmError(f"There is no text to be scored in {', '.join(one.path for one in sources)}{why}.")
    if not unreadable:
        return found, ()
    one = unreadable[0]
    are = f"{amount(len(unreadable), 'records')} cannot be read and left out"
    return found, (f"{are} (the first: {one.file}, {one.reason}).",)


def _read(sources: Sequence[SourceConfig], unreadable: list[Unreadable]) -> Iterator[Document]:
    """Documents of sources, as a build reads them."""
    config = BuildConfig(sources=tuple(sources))
    corpus = resolve(config)
    for split in corpus.splits:
        source, domain = config.sources[split.source], corpus.domains[split.source]
        intake = Intake(source, domain, config.max_record_bytes, config.max_metadata_bytes)
        for segment in split.segments:
            for record in segment.records(intake):
                if isinstance(record, Document):
                    yield record
                elif isinstance(record, Unreadable):
                    unreadable.append(record)
