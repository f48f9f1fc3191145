from pkgutil import resolve_name

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from base.errors import RalmError
from datastore.schema import Document
from pipelines.readers.formats import FILE_FORMATS
from tests.pipelines.readers.reading import END, HEAD, lines, page, read, record


@pytest.mark.parametrize("kind", FILE_FORMATS)
def test_what_the_system_cannot_read_stops_the_build_and_marks_nothing(tmp_path, kind):
    with pytest.raises(RalmError, match="cannot be read"):
        read(tmp_path / "gone", kind=kind)


GOOD, BAD = "A stone bridge stands in the valley since 1787, built by masons of the town.", "TROUBLE"
PAGE = "<html><body><article><p>{}</p></article></body></html>"


class OddError(Exception):
    """What no reader has foreseen."""


def written(folder, kind):
    """A file of three records, the second of which is trouble (of a page the only one)."""
    path, texts = folder / "a", (GOOD, f"{GOOD} {BAD}", GOOD)
    if kind == "html":
        path.write_text(PAGE.format(texts[1]))
    elif kind == "warc":
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"
        http = [(head + PAGE.format(text)).encode() for text in texts]
        path.write_bytes(b"".join(record("response", body, n) for n, body in enumerate(http)))
    elif kind == "parquet":
        pq.write_table(pa.table({"text": texts}), path)
    elif kind == "mediawiki":
        path.write_bytes(HEAD + b"".join(page(n + 1, text) for n, text in enumerate(texts)) + END)
    else:
        lines(path, *({"text": text} for text in texts))
    return path


@pytest.mark.parametrize(
    "error", [OddError("odd"), AssertionError(), RecursionError("deep"), StopIteration(1)]
)
@pytest.mark.parametrize(
    ("kind", "function"),
    [
        ("html", "trafilatura.extract"),
        ("warc", "trafilatura.extract"),
        ("warc", "warcio.recordloader.ArcWarcRecordLoader.parse_record_stream"),
        ("mediawiki", "xml.etree.ElementTree.fromstring"),
        ("mediawiki", "mwparserfromhell.parse"),
        ("jsonl", "orjson.loads"),
    ],
)
def test_whatever_a_library_raises_about_a_record_costs_that_record(
    tmp_path, monkeypatch, kind, function, error
):
    library = resolve_name(function)

    def failing(*args, **options):
        asked = " ".join(str(getattr(one, "getvalue", lambda one=one: one)()) for one in args)
        if BAD in asked:
            raise error
        return library(*args, **options)

    path = written(tmp_path, kind)
    whole = read(path, kind=kind)
    monkeypatch.setattr(function, failing)
    found = read(path, kind=kind)
    at = len(whole) // 2
    assert (found[at].file, found[at].record) == (path.name, at + 1)
    assert type(error).__name__ in found[at].reason
    assert [*found[:at], *found[at + 1 :]] == [*whole[:at], *whole[at + 1 :]]
    assert all(isinstance(one, Document) for one in whole)


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        ("html", "pipelines.readers.web.pages.text_of_html"),
        ("warc", "pipelines.readers.web.warc._media_type"),
        ("mediawiki", "pipelines.readers.wiki.wikitext._render"),
        ("jsonl", "pipelines.readers.records.metadata_of"),
        ("parquet", "pipelines.readers.tables.parquet.kept"),
        ("parquet", "pipelines.readers.tables.parquet.value_of"),
    ],
)
def test_a_defect_of_ours_is_no_records_reason(tmp_path, monkeypatch, kind, function):
    def defect(*_, **__):
        raise ValueError("a defect")

    path = written(tmp_path, kind)
    monkeypatch.setattr(function, defect)
    with pytest.raises(ValueError, match="a defect"):
        read(path, kind=kind)
