"""Files that are one document each: plain text, Markdown and HTML pages."""

from collections.abc import Iterator

from base.foreign import Refused
from datastore.schema import Document
from pipelines.readers.bytes.codings import TooLarge, unpacked
from pipelines.readers.bytes.endings import compression, suffixes_of
from pipelines.readers.limits import more_than
from pipelines.readers.records import BOM, Intake, Record, Unreadable
from pipelines.readers.segment import Segment
from pipelines.readers.web.front_matter import split
from pipelines.readers.web.html import text_of_html
from pipelines.readers.whole import whole

_MARKDOWN = ([".md"], [".markdown"])


def read_text(segment: Segment, intake: Intake) -> Iterator[Record]:
    """The one document of a text file."""
    data = whole(segment, intake)
    if isinstance(data, Unreadable):
        yield data
        return
    try:
        text = data.removeprefix(BOM).decode()
    except UnicodeDecodeError as error:
        reason = f"invalid UTF-8 at byte {error.start}: convert the file to UTF-8"
        yield Unreadable(segment.name, 1, reason)
        return
    # A file is called by its name, whatever `id` stands in it: these are often the same in two folders.
    metadata, text = split(text) if _is_markdown(segment.name) else ({}, text)
    yield intake.document(Document(segment.name, "", text, metadata), segment.name, 1)


def _is_markdown(name: str) -> bool:
    suffixes = suffixes_of(name)
    return suffixes[-2 if compression(name) else -1 :][:1] in _MARKDOWN


def read_html(segment: Segment, intake: Intake) -> Iterator[Record]:
    """The one document of an HTML file."""
    data = whole(segment, intake)
    if isinstance(data, Unreadable):
        yield data
        return
    try:
        text = text_of_html(unpacked(data, (), intake.max_record_bytes))
    except TooLarge:
        yield Unreadable(segment.name, 1, more_than("the page unpacks to", intake.max_record_bytes))
        return
    except Refused as error:
        yield Unreadable(segment.name, 1, f"the HTML cannot be read ({error})")
        return
    if not text:
        yield Unreadable(segment.name, 1, "no text is found in the HTML")
        return
    yield intake.document(Document(segment.name, "", text), segment.name, 1)
