import gzip
import io
import json
import os
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastore.errors import RalmError
from datastore.schema import Document
from pipelines.build.records import (
    Blank,
    RecordReader,
    Unreadable,
    bounded_line,
    count_newlines,
    open_stream,
)
from pipelines.build.sources import Segment
from pipelines.config import SourceConfig


def read(path, kind="jsonl", limit=1 << 20, begin=0, end=-1, first=0, **source):
    reader = RecordReader(SourceConfig(path=str(path), **source), path.name, limit)
    return list(reader.read(Segment(str(path), path.name, kind, begin, end, first)))


def lines(path, *records):
    path.write_bytes(
        b"".join((r if isinstance(r, bytes) else json.dumps(r).encode()) + b"\n" for r in records)
    )
    return path


@settings(max_examples=200)
@given(
    data=st.lists(
        st.sampled_from(
            [
                b"\n",
                b'{"text": "one"}',
                b'{"text": "\xc3\xa9t\xc3\xa9 \xf0\x9f\x8f\xb0"}',
                b'{"text": "\xff"}',
                b"x",
                b"\r\n",
                b"{}",
            ]
        ),
        max_size=30,
    ),
    split=st.integers(1, 64),
)
def test_any_ranges_give_the_records_of_the_whole_file(tmp_path_factory, data, split):
    """Law 4: a range's boundary, in a line or in a character, loses and doubles nothing."""
    path = tmp_path_factory.mktemp("ranges") / "a.jsonl"
    path.write_bytes(b"\n".join(data))
    size = path.stat().st_size
    parts = []
    for begin in range(0, size, split):
        end = min(begin + split, size)
        parts += read(path, begin=begin, end=end, first=count_newlines(str(path), 0, begin))
    assert parts == read(path)


def test_fields_become_a_document(tmp_path):
    record = {
        "id": 7,
        "contents": "body",
        "domain": "news",
        "title": "T",
        "n": 1,
        "tags": ["x"],
        "none": None,
    }
    (found,) = read(lines(tmp_path / "a.jsonl", record))
    assert found == Document("7", "news", "body", {"title": "T", "n": 1})


def test_without_an_id_a_document_is_named_by_file_and_line(tmp_path):
    path = lines(tmp_path / "a.jsonl", {"text": "one"}, b"", {"text": "two", "id": None})
    found = [r for r in read(path) if isinstance(r, Document)]
    assert [(d.id, d.domain) for d in found] == [("a.jsonl:1", "a"), ("a.jsonl:3", "a")]


def test_a_sources_domain_wins_over_the_records(tmp_path):
    path = lines(tmp_path / "a.jsonl", {"text": "one", "domain": "theirs"})
    assert read(path, domain="mine")[0].domain == "mine"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "invalid JSON"),
        (b"[1]", "not a JSON object"),
        (b"{}", "no field 'text' or 'contents'"),
        (b'{"text": 3}', "'text' holds int, not text"),
        (b'{"text": null}', "'text' holds NoneType"),
        (b'{"text": "x", "id": [1]}', "'id' holds list"),
        (b'{"text": "\xc3"}', "invalid UTF-8 at byte 10 of the record"),
        (b'{"text": "\\ud800"}', "invalid JSON"),
        (b'{"text": "' + b"x" * 5000 + b'"}', "5,013 bytes and max_record_bytes allows 4,096"),
    ],
)
def test_a_bad_record_costs_itself_and_says_where_and_why(tmp_path, line, reason):
    path = lines(tmp_path / "a.jsonl", {"text": "before"}, line, {"text": "after"})
    before, bad, after = read(path, limit=4096)
    assert (before.text, after.text) == ("before", "after")
    assert isinstance(bad, Unreadable)
    assert (bad.file, bad.record) == ("a.jsonl", 2)
    assert reason in bad.reason


def test_blank_lines_are_counted_as_such(tmp_path):
    found = read(lines(tmp_path / "a.jsonl", {"text": "one"}, b"", b"  \t", {"text": "two"}))
    assert [type(r) for r in found] == [Document, Blank, Blank, Document]


def test_a_byte_order_mark_is_no_text(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "one"}\n')
    assert read(path)[0].text == "one"


def test_a_200_mb_line_takes_bounded_memory(tmp_path):
    import tracemalloc

    path = tmp_path / "a.jsonl"
    with open(path, "wb") as handle:
        handle.write(b'{"text": "before"}\n{"text": "')
        for _ in range(200):
            handle.write(b"x" * 1_000_000)
        handle.write(b'"}\n{"text": "after"}\n')
    tracemalloc.start()
    before, bad, after = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (before.text, after.text, bad.record) == ("before", "after", 2)
    assert "200,000,013 bytes" in bad.reason
    assert peak < 20e6


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_compressed_lines_are_read_also_in_several_frames(tmp_path, suffix):
    path = tmp_path / f"a.jsonl.{suffix}"
    records = [json.dumps({"text": f"number {i}"}).encode() + b"\n" for i in range(1000)]
    path.write_bytes(
        compressed(b"".join(records[:400]), suffix) + compressed(b"".join(records[400:]), suffix)
    )
    assert [r.text for r in read(path)] == [f"number {i}" for i in range(1000)]


def compressed(data: bytes, suffix: str) -> bytes:
    return gzip.compress(data) if suffix == "gz" else pa.compress(data, "zstd", asbytes=True)


@pytest.mark.parametrize("suffix", ["gz", "zst"])
@pytest.mark.parametrize("cut", [0.5, 0.95])
def test_a_truncated_file_gives_what_came_before_and_says_so(tmp_path, suffix, cut):
    texts = [os.urandom(400).hex() for _ in range(3000)]
    data = compressed(b"".join(json.dumps({"text": t}).encode() + b"\n" for t in texts), suffix)
    path = tmp_path / f"a.jsonl.{suffix}"
    path.write_bytes(data[: int(len(data) * cut)])
    *before, last = read(path)
    found = [r.text for r in before if isinstance(r, Document)]
    assert len(found) > 0.8 * cut * 3000
    assert found == texts[: len(found)]
    assert isinstance(last, Unreadable)
    assert "breaks off" in last.reason
    assert last.record > len(found)


def test_a_file_that_is_not_what_its_name_says(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(b'{"text": "plain"}\n')
    (found,) = read(path)
    assert isinstance(found, Unreadable)


def test_parquet_rows_become_documents(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table(
        {
            "text": ["one", None, "three"],
            "id": ["a", "b", None],
            "day": [date(2024, 1, 2)] * 3,
            "score": [0.5, float("nan"), 1.0],
            "nested": [{"x": 1}] * 3,
        }
    )
    pq.write_table(table, path)
    one, two, three = read(path, kind="parquet")
    assert one == Document("a", "a", "one", {"day": "2024-01-02", "score": 0.5})
    assert isinstance(two, Unreadable)
    assert three.id == "a.parquet:3"


def test_a_broken_parquet_file_says_so(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["one"] * 1000}), path)
    path.write_bytes(path.read_bytes()[:-10])
    (found,) = read(path, kind="parquet")
    assert "Parquet file cannot be read" in found.reason


def test_text_and_html_files_are_documents(tmp_path):
    (tmp_path / "a.md").write_bytes("\ufeff# Title\n\nDas Café.".encode())
    (tmp_path / "b.html").write_text(
        "<html><head><title>T</title><script>var x = 1;</script></head><body><article><p>The first paragraph "
        "of this page says something long enough to be kept.</p></article></body></html>"
    )
    (md,) = read(tmp_path / "a.md", kind="text")
    assert (md.id, md.domain, md.text) == ("a.md", "a", "# Title\n\nDas Café.")
    (html,) = read(tmp_path / "b.html", kind="html")
    assert "first paragraph" in html.text
    assert "var x" not in html.text


def test_text_that_is_not_utf8_or_too_large_says_how_to_mend_it(tmp_path):
    (tmp_path / "a.txt").write_bytes("café".encode("latin-1"))
    (found,) = read(tmp_path / "a.txt", kind="text")
    assert found.reason == "invalid UTF-8 at byte 3: convert the file to UTF-8"
    (tmp_path / "b.txt").write_bytes(b"x" * 5000)
    (found,) = read(tmp_path / "b.txt", kind="text", limit=4096)
    assert "max_record_bytes" in found.reason
    (tmp_path / "c.html").write_bytes(b"")
    (found,) = read(tmp_path / "c.html", kind="html")
    assert isinstance(found, Unreadable)


def test_hub_data_sets_stream_their_rows(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    for number in range(2):
        lines(folder / f"train-{number}.jsonl", *({"text": f"text {number} {i}"} for i in range(5)))
    path = f"hf://{folder}"
    reader = RecordReader(SourceConfig(path=path), str(folder), 1 << 20)
    found = [d for shard in range(2) for d in reader.read(Segment(path, "set", "hf", shard, shard + 1))]
    assert [d.text for d in found] == [f"text {n} {i}" for n in range(2) for i in range(5)]
    assert len({d.id for d in found}) == 10


@given(st.binary(max_size=200), st.integers(1, 50))
def test_bounded_lines_cover_the_stream(data, limit):
    stream, position = io.BytesIO(data), 0
    while True:
        line, length = bounded_line(stream, limit)
        if not length:
            break
        assert line is None or line == data[position : position + length]
        assert (line is None) == (
            length > limit + (data[position : position + length].endswith(b"\n") and length == limit + 1)
        )
        position += length
    assert position == len(data)


def test_streams_decompress_by_name(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"text"))
    with open_stream(str(tmp_path / "a.gz")) as stream:
        assert stream.read() == b"text"


def test_one_bad_value_of_a_parquet_file_costs_its_row(tmp_path):
    path = tmp_path / "a.parquet"
    texts = pa.array([f"text {n}".encode() for n in range(600)])
    broken = pa.array([b"\xff" if n == 300 else t.as_py() for n, t in enumerate(texts)])
    table = pa.table({"text": pa.Array.from_buffers(pa.string(), 600, broken.buffers())})
    pq.write_table(table, path)
    found = read(path, kind="parquet")
    assert [r.text for r in found if isinstance(r, Document)] == [f"text {n}" for n in range(600) if n != 300]
    (bad,) = [r for r in found if isinstance(r, Unreadable)]
    assert bad.record == 301


@pytest.mark.parametrize("kind", ["jsonl", "text", "html", "parquet"])
def test_what_the_system_cannot_read_stops_the_build_and_marks_nothing(tmp_path, kind):
    with pytest.raises(RalmError, match="cannot be read"):
        read(tmp_path / "gone", kind=kind)
