import bz2
import gzip
import re
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastore.schema import Document
from pipelines.readers.records import Skipped, Unreadable
from tests.pipelines.readers.reading import END, HEAD, Part, page
from tests.pipelines.readers.reading import read as read_file


def read(path, **options):
    return read_file(path, kind="mediawiki", **options)


def ids(records):
    return [r.id for r in records if isinstance(r, Document)]


def test_articles_are_documents_and_the_rest_is_counted(tmp_path):
    path = tmp_path / "dewiki.xml.bz2"
    pages = [
        page(10, "'''Ä''' ist <ref>x</ref>[[B|ein]] Buchstabe. </page> [[Datei:A.jpg|mini|x]]"),
        page(11, "#REDIRECT [[Ä]]", extra='\n    <redirect title="Ä" />'),
        page(12, ns=10),
        page(13, '{"a": 1}', model="json"),
        page(14, ""),
    ]
    path.write_bytes(bz2.compress(HEAD + b"".join(pages) + END))
    one, *skipped, empty = read(path)
    assert one == Document(
        "10",
        "dewiki",
        "Ä ist ein Buchstabe. </page>",
        {"title": "Title 10", "date": "2024-03-01T00:00:00Z"},
    )
    assert skipped == [Skipped("redirect"), Skipped("namespace"), Skipped("model")]
    assert empty.text == ""


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=20),
    cuts=st.lists(st.integers(1, 5000), max_size=6),
    split=st.integers(40, 2000),
    suffix=st.sampled_from(["xml", "xml.bz2"]),
)
def test_any_ranges_give_the_pages_of_the_whole_dump(tmp_path_factory, sizes, cuts, split, suffix):
    """Law 4: wherever the file is cut and wherever its bzip2 streams end, no page is lost or doubled."""
    data = HEAD + b"".join(page(n, "x" * size) for n, size in enumerate(sizes)) + END
    path = tmp_path_factory.mktemp("ranges") / f"a.{suffix}"
    edges = sorted({0, *(c for c in cuts if c < len(data)), len(data)})
    streams = [data[a:b] for a, b in pairwise(edges)]
    path.write_bytes(b"".join(map(bz2.compress, streams)) if suffix.endswith("bz2") else data)
    size = path.stat().st_size
    parts = [read(path, part=Part(at, min(at + split, size))) for at in range(0, size, split)]
    assert ids(record for part in parts for record in part) == [str(n) for n in range(len(sizes))]
    assert parts[0] + [r for part in parts[1:] for r in part] == read(path)


def test_a_bad_page_costs_itself_and_says_why(tmp_path):
    path = tmp_path / "a.xml"
    bad = [
        page(1).replace(b"<ns>", b"<ns"),
        page(2).replace(b"</page>", b""),
        page(3, "x" * 9000),
        re.sub(rb"<id>4</id>", b"", page(4)),
        page(5).replace(b"Some", b"\xff"),
    ]
    good = [page(n) for n in range(10, 16)]
    path.write_bytes(HEAD + b"".join(a + b for a, b in zip(good, [*bad, b""], strict=True)) + END)
    found = read(path, limit=4096)
    assert ids(found) == [str(n) for n in range(10, 16)]
    reasons = [r.reason for r in found if isinstance(r, Unreadable)]
    for reason, expected in zip(
        reasons,
        ["no valid XML", "before another begins", "max_record_bytes", "no id", "no valid XML"],
        strict=True,
    ):
        assert expected in reason
    assert [r.record for r in found if isinstance(r, Unreadable)] == [2, 4, 6, 8, 10]


def test_a_damaged_stream_of_a_multistream_dump_costs_only_itself(tmp_path):
    path = tmp_path / "a.xml.bz2"
    groups = [b"".join(page(10 * g + n) for n in range(5)) for g in range(4)]
    streams = [bz2.compress(part) for part in (HEAD, *groups, END)]
    streams[2] = streams[2][:100] + b"\0\0\0\0" + streams[2][104:]
    path.write_bytes(b"".join(streams))
    found = read(path)
    assert ids(found) == [str(10 * g + n) for g in (0, 2, 3) for n in range(5)]
    (bad,) = [r for r in found if isinstance(r, Unreadable)]
    assert "damaged here" in bad.reason


@pytest.mark.parametrize("pack", [bz2.compress, gzip.compress, lambda data: data])
def test_a_truncated_dump_gives_what_came_before_and_says_so(tmp_path, pack):
    path = tmp_path / {bz2.compress: "a.xml.bz2", gzip.compress: "a.xml.gz"}.get(pack, "a.xml")
    parts = [pack(HEAD), *(pack(page(n)) for n in range(6))]
    path.write_bytes(b"".join(parts)[:-60])
    *before, last = read(path)
    assert ids(before) == ["0", "1", "2", "3", "4"]
    assert isinstance(last, Unreadable)
    assert "in the middle" in last.reason


def test_what_is_no_dump_says_so(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<rss><item>news</item></rss>")
    (found,) = read(path)
    assert "no MediaWiki dump" in found.reason
    path.write_bytes(HEAD + END)
    assert read(path) == []


def test_a_dump_is_read_in_memory_for_one_page(tmp_path):
    path = tmp_path / "a.xml.bz2"
    text = "[[File:x]]" + "<!--" + "x" * 500_000 + "-->"
    path.write_bytes(bz2.compress(HEAD + b"".join(page(n, text) for n in range(60)) + END))
    read(path, part=Part(0, 1))
    tracemalloc.start()
    assert len(read(path)) == 60
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25e6
