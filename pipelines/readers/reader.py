"""The segments of one source to records, by their format."""

from collections.abc import Callable, Iterator

from pipelines.readers.documents import documents
from pipelines.readers.formats import Segment
from pipelines.readers.json import json_file, jsonl
from pipelines.readers.records import Intake, Record
from pipelines.readers.tables import delimited, hub, parquet
from pipelines.readers.web import pages, warc
from pipelines.readers.wiki import mediawiki

_READERS: dict[str, Callable[[Segment, Intake], Iterator[Record]]] = {
    "jsonl": jsonl.read,
    "json": json_file.read,
    "csv": delimited.read,
    "parquet": parquet.read,
    "text": pages.read_text,
    "html": pages.read_html,
    "pdf": documents.read,
    "docx": documents.read,
    "epub": documents.read,
    "warc": warc.read,
    "mediawiki": mediawiki.read,
    "hf": hub.read,
}


class RecordReader(Intake):
    """Reads segments of one source."""

    def read(self, segment: Segment) -> Iterator[Record]:
        """Every record of a segment, in order."""
        return _READERS[segment.kind](segment, self)
