import bz2
import gzip
import json
import lzma
import os
from decimal import Decimal
from functools import cache

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastore.schema import Document, dump_metadata, load_metadata
from pipelines.config import SourceConfig
from pipelines.readers.bytes.lines import count_newlines
from pipelines.readers.json.jsonl import of_object
from pipelines.readers.records import Blank, Intake, Unreadable
from tests.pipelines.readers.flips import Framed, lines_of, sizes_cut, words
from tests.pipelines.readers.reading import Part, lines, read, read_doubting


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
        parts += read(path, part=Part(begin, end, count_newlines(str(path), 0, begin)))
    assert parts == read(path)


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
        (b'{"text": "\\ud800"}', "invalid JSON: no low surrogate"),
        (b'{"text": NaN}', "invalid JSON: NaN and Infinity are no numbers there"),
        (b'{"text": "x", "a": ' + b"[" * 2000, "invalid JSON: depth limit exceeded"),
        (b'{"text": "x", "a": ' + b"[" * 2000 + b"]" * 2000 + b"}", "invalid JSON: depth limit exceeded"),
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


NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,29})(\.[0-9]{1,29})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)


@given(NUMBERS, st.sampled_from(['{"text":"T","n":%s}', '{"text": "T", "meta": {"n": %s}}']))
def test_any_number_of_a_record_keeps_its_digits(written, record):
    line = (record % written).encode()
    found = of_object(line, "a.jsonl", 1, Intake(SourceConfig(path="a"), "a", 10**6))
    (value,) = load_metadata(dump_metadata(found.metadata)).values()
    assert Decimal(repr(value) if isinstance(value, float) else value) == Decimal(written)


def test_an_id_of_thirty_digits_is_an_id(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b'{"text":"T","id":123456789012345678901234567890}\n{"text":"T","id":-18446744073709551616}\n'
    )
    assert [r.id for r in read(path)] == ["123456789012345678901234567890", "-18446744073709551616"]
    path.write_bytes(
        b'{"text":"T","id":5.0}\n{"text":"T","id":1.000000000000000000000001}\n{"text":"T","id":1e400}\n'
    )
    assert ["not an id" in r.reason for r in read(path)] == [True] * 3


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


@pytest.mark.parametrize("suffix", ["gz", "zst", "bz2", "xz"])
def test_compressed_lines_are_read_also_in_several_frames(tmp_path, suffix):
    path = tmp_path / f"a.jsonl.{suffix}"
    records = [json.dumps({"text": f"number {i}"}).encode() + b"\n" for i in range(1000)]
    path.write_bytes(
        compressed(b"".join(records[:400]), suffix) + compressed(b"".join(records[400:]), suffix)
    )
    assert [r.text for r in read(path)] == [f"number {i}" for i in range(1000)]


def compressed(data: bytes, suffix: str) -> bytes:
    if suffix == "zst":
        return pa.compress(data, "zstd", asbytes=True)
    return {"gz": gzip, "bz2": bz2, "xz": lzma}[suffix].compress(data)


@cache
def many_texts(suffix: str) -> tuple[list[str], bytes]:
    """Texts that hardly compress, and a file of them."""
    texts = [os.urandom(400).hex() for _ in range(3000)]
    return texts, compressed(b"".join(json.dumps({"text": t}).encode() + b"\n" for t in texts), suffix)


@pytest.mark.parametrize("suffix", ["gz", "zst", "bz2", "xz"])
@pytest.mark.parametrize("cut", [0.5, 0.95])
def test_a_truncated_file_gives_what_came_before_and_says_so(tmp_path, suffix, cut):
    texts, data = many_texts(suffix)
    path = tmp_path / f"a.jsonl.{suffix}"
    path.write_bytes(data[: int(len(data) * cut)])
    *before, last = read(path)
    found = [r.text for r in before if isinstance(r, Document)]
    block = 1150 if suffix == "bz2" else 0  # Records in 900,000 bytes, of which bzip2 gives all or none.
    assert len(found) > 0.8 * cut * 3000 - block
    assert found == texts[: len(found)]
    assert isinstance(last, Unreadable)
    assert "breaks off" in last.reason
    assert last.record > len(found)


@pytest.mark.parametrize("suffix", ["gz", "zst", "bz2", "xz"])
def test_a_damaged_frame_costs_no_record_of_the_next_one(tmp_path, suffix):
    texts = [os.urandom(200).hex() for _ in range(300)]
    lines = [json.dumps({"text": t}).encode() + b"\n" for t in texts]
    parts = [bytearray(compressed(b"".join(lines[n : n + 100]), suffix)) for n in (0, 100, 200)]
    parts[1][7:5000] = b"\xff" * 4993
    path = tmp_path / f"a.jsonl.{suffix}"
    path.write_bytes(b"".join(parts))
    found = read(path)
    # What some codecs give before they see the damage is no record either.
    *_, last = [number for number, r in enumerate(found) if isinstance(r, Unreadable)]
    assert "damaged" in found[last].reason
    assert found[last].record == last + 1
    kept = [r.text for r in found if isinstance(r, Document)]
    assert kept == [*texts[: len(kept) - 100], *texts[200:]]
    assert 200 <= len(kept) < 300
    assert found[-1].id == f"{path.name}:{len(found)}"


def test_a_file_that_is_not_what_its_name_says(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(b'{"text": "plain"}\n')
    (found,) = read(path)
    assert isinstance(found, Unreadable)


RECORDS = lines_of(60)
IDS = {str(n) for n in range(60)}
CUTS = sizes_cut(RECORDS)


def test_a_torn_line_is_listed_with_what_is_doubtful_and_where_reading_goes_on(tmp_path):
    framed = Framed(RECORDS, CUTS["anywhere"], "gz")
    path = tmp_path / "a.jsonl.gz"
    data = bytearray(framed.bytes)
    starts = [at for at in range(len(data)) if data[at : at + 3] == b"\x1f\x8b\x08"]
    middle = (starts[3] + starts[4]) // 2
    data[middle : middle + 200] = b"\xff" * 200
    path.write_bytes(data)
    found, doubtful = read_doubting(path)
    bad = [one for one in found if isinstance(one, Unreadable)]
    assert f"reading goes on at byte {starts[4]:,} of the file" in bad[-1].reason
    (one,) = doubtful
    assert f"records {one.first} to {one.last} stand in the same data: doubtful" in bad[-1].reason
    ids = [int(one.id) for one in found if isinstance(one, Document) and one.id in IDS]
    assert len(ids) > 45
    assert ids[-1] == 59


def test_what_nothing_can_be_read_behind_says_so(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b"".join(RECORDS))[:-2000])
    found, doubtful = read_doubting(path)
    assert "nothing behind it can be read" in found[-1].reason
    assert doubtful[0].last == len(found) - 1


@pytest.mark.parametrize("rest", [b"\0" * 4096, b"\n", b"garbage", b""])
def test_what_is_too_short_for_a_member_behind_the_last_one_is_no_damage(tmp_path, rest):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(RECORDS[0]) + rest)
    found, doubtful = read_doubting(path)
    assert [one.text for one in found] == [words(0)]
    assert doubtful == []


@pytest.mark.parametrize(
    "rest", [b"garbage that may have been a member once", gzip.compress(b"{}", mtime=0)[:15]]
)
def test_what_may_have_been_a_member_is_listed(tmp_path, rest):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(RECORDS[0]) + rest)
    found, doubtful = read_doubting(path)
    assert [type(one) for one in found] == [Document, Unreadable]
    assert doubtful == []


def test_of_one_large_member_the_doubtful_records_are_one_range(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    data = bytearray(gzip.compress(b"".join(RECORDS) * 100, 1))
    data[-6] ^= 1
    path.write_bytes(data)
    found, doubtful = read_doubting(path)
    assert len(found) == 6000
    assert [(one.first, one.last, one.documents) for one in doubtful] == [(1, 6000, 6000)]
