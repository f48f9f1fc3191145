"""Reading one file in tests, and writing one."""

import json
from typing import NamedTuple
from xml.sax.saxutils import escape

from pipelines.config import SourceConfig
from pipelines.corpus.source_names import short
from pipelines.readers.records import Intake
from pipelines.readers.segment import Segment

HEAD = (
    b'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="de">\n  <siteinfo>\n    '
    b'<namespaces>\n      <namespace key="0" case="first-letter" />\n      <namespace key="6" '
    b'case="first-letter">Datei</namespace>\n    </namespaces>\n  </siteinfo>\n'
)
END = b"</mediawiki>\n"


def read(path, **options):
    return read_with(path, **options)[1]


class Part(NamedTuple):
    """A range of a file: where it begins and ends, and how many records come before."""

    begin: int = 0
    end: int = -1
    first: int = 0


def read_with(path, kind="jsonl", limit=1 << 20, part=Part(), **source):  # noqa: B008 (it is constant)
    """The intake that a file was read with, and its records."""
    intake = Intake(SourceConfig(path=str(path), **source), short(path.name), limit)
    return intake, list(Segment(str(path), path.name, kind, *part).records(intake))


def lines(path, *records):
    path.write_bytes(
        b"".join((r if isinstance(r, bytes) else json.dumps(r).encode()) + b"\n" for r in records)
    )
    return path


def record(kind="conversion", body=b"text", number=0, content_type="text/plain", uri=None):
    """The bytes of one WARC record, its number in the id."""
    head = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: <urn:uuid:{number}>",
        f"WARC-Target-URI: {uri or f'http://example.org/{number}'}",
        "WARC-Date: 2024-02-20T21:10:55Z",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body + b"\r\n\r\n"


def page(number, text="Some text.", ns=0, extra="", model="wikitext"):
    return f"""  <page>
    <title>Title {number}</title>
    <ns>{ns}</ns>
    <id>{number}</id>{extra}
    <revision>
      <id>9{number}</id>
      <timestamp>2024-03-01T00:00:00Z</timestamp>
      <contributor><username>A</username><id>5</id></contributor>
      <model>{model}</model>
      <format>text/x-wiki</format>
      <text bytes="10" xml:space="preserve">{escape(text)}</text>
    </revision>
  </page>
""".encode()


def read_doubting(path, kind="jsonl"):
    """The records of a file, and which of them are doubtful."""
    intake = Intake(SourceConfig(path=str(path)), path.name, 1 << 20)
    return list(Segment(str(path), path.name, kind).records(intake)), intake.doubtful
