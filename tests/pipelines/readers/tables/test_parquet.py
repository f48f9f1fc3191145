import os
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from datastore.schema import Document
from pipelines.readers.records import Unreadable
from tests.pipelines.readers.flips import words
from tests.pipelines.readers.reading import read


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


def test_damage_in_a_row_group_costs_no_other(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"{n} {os.urandom(50).hex()}" for n in range(1000)]})
    pq.write_table(table, path, row_group_size=100, use_dictionary=False)
    with pq.ParquetFile(path) as file:
        page = file.metadata.row_group(3).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[page : page + 20] = b"\xff" * 20
    path.write_bytes(data)
    found = read(path, kind="parquet")
    (bad,) = [r for r in found if isinstance(r, Unreadable)]
    assert (bad.record, "row group cannot be read" in bad.reason) == (301, True)
    numbers = [int(r.text.split()[0]) for r in found if isinstance(r, Document)]
    assert numbers == [*range(300), *range(400, 1000)]
    assert found[-1].id == "a.parquet:1000"


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


def test_an_id_of_bytes_is_the_text_that_they_spell(tmp_path):
    ids = [b"a-17", "brücke".encode(), bytes(range(16)), b"\xff\x00"]
    pq.write_table(pa.table({"text": ["a", "b", "c", "d"], "id": ids}), tmp_path / "a.parquet")
    found = [document.id for document in read(tmp_path / "a.parquet", kind="parquet")]
    assert found == ["a-17", "brücke", bytes(range(16)).hex(), "ff00"]


def test_a_row_of_fineweb_keeps_text_id_and_metadata(tmp_path):
    path = tmp_path / "000_00000.parquet"
    row = {
        "text": "T",
        "id": "<urn:uuid:39147604>",
        "dump": "CC-MAIN-2013-20",
        "url": "http://x",
        "date": "2013-05-18T10:42:00Z",
        "file_path": "s3://commoncrawl/x.warc.gz",
        "language": "en",
        "language_score": 0.97,
        "token_count": 151,
    }
    pq.write_table(pa.table({name: [value] for name, value in row.items()}), path)
    (found,) = read(path, kind="parquet")
    assert (found.text, found.id) == ("T", "<urn:uuid:39147604>")
    assert found.metadata == {name: value for name, value in row.items() if name not in ("text", "id")}


def test_typed_and_nested_columns_become_metadata(tmp_path):
    path = tmp_path / "a.parquet"
    columns = {
        "text": ["T"],
        "created": [datetime(2020, 1, 17, 12, 48, 45, tzinfo=UTC)],
        "metadata": [{"url": "http://x", "year": 2020}],
    }
    pq.write_table(pa.table(columns), path)
    (found,) = read(path, kind="parquet")
    assert found.metadata == {"created": "2020-01-17T12:48:45+00:00", "url": "http://x", "year": 2020}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**40), st.sampled_from(["snappy", "none", "zstd"]), st.booleans())
def test_a_page_that_fails_its_checksum_costs_its_row_group_alone(tmp_path_factory, bit, codec, dictionary):
    """Law 4: no value of it comes through changed, wherever in the pages a bit is flipped."""
    path = tmp_path_factory.mktemp("pages") / "a.parquet"
    table = pa.table({"text": [words(n) for n in range(90)], "n": [n % 7 for n in range(90)]})
    pq.write_table(
        table,
        path,
        row_group_size=30,
        compression=codec,
        use_dictionary=dictionary,
        write_page_checksum=True,
        data_page_size=2000,
    )
    with pq.ParquetFile(path) as file:
        first = file.metadata.row_group(0).column(0)
        last = file.metadata.row_group(2).column(1)
        begin = first.dictionary_page_offset or first.data_page_offset
        end = last.data_page_offset + 1
        starts = [file.metadata.row_group(n).column(0) for n in range(3)]
        groups = [one.dictionary_page_offset or one.data_page_offset for one in starts]
    data = bytearray(path.read_bytes())
    at = begin + bit // 8 % (end - begin)
    data[at] ^= 1 << bit % 8
    path.write_bytes(data)
    found = read(path, kind="parquet")
    damaged = sum(at >= start for start in groups) - 1
    ids = {one.id: one for one in found if isinstance(one, Document)}
    for n in range(90):
        name = f"a.parquet:{n + 1}"
        if name in ids:
            assert (ids[name].text, ids[name].metadata) == (words(n), {"n": n % 7})
        else:
            assert n // 30 == damaged
    bad = [one for one in found if isinstance(one, Unreadable)]
    assert len(bad) == (len(ids) < 90)
    assert all(f"to record {30 * damaged + 30} (" in one.reason for one in bad)
