"""Files of word processors, printers and e-books: one document each."""

from collections.abc import Iterator

from datastore.schema import Document
from pipelines.readers.documents import apart
from pipelines.readers.documents.extracted import NoDocumentError
from pipelines.readers.records import Intake, Record, Unreadable
from pipelines.readers.segment import Segment
from pipelines.readers.whole import whole


def read(segment: Segment, intake: Intake) -> Iterator[Record]:
    """The one document of a file of the segment's kind: pdf, docx or epub."""
    data = whole(segment, intake)
    if isinstance(data, Unreadable):
        yield data
        return
    try:
        found = apart.extract(segment.kind, data, intake.max_record_bytes)
    except NoDocumentError as error:
        yield Unreadable(segment.name, 1, str(error))
        return
    # What is left of it is a document, what is lost is listed.
    yield from (Unreadable(segment.name, number, reason) for number, reason in found.lost)
    stating = Document(segment.name, "", found.text, found.metadata)
    yield intake.document(stating, segment.name, 1)
