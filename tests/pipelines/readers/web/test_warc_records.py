import base64
import bz2
import gzip
import hashlib
import lzma
import random
import tracemalloc
from functools import partial

import pytest
import zstandard
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from datastore.schema import Document
from pipelines.readers.records import Unreadable
from pipelines.readers.web import warc_records
from tests.pipelines.readers.reading import read, record

PACK = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
    ".xz": partial(lzma.compress, preset=0),
}


def text(number):
    return f"Record {number} tells of the old stone bridge.\r\n\r\nWARC/1.0 is a format. " * 3


def whole(number):
    """A record that states a digest."""
    body = text(number).encode()
    digest = base64.b32encode(hashlib.sha1(body).digest())
    return record(body=body, number=number).replace(
        b"WARC-Date", b"WARC-Block-Digest: sha1:%b\r\nWARC-Date" % digest
    )


def claiming(one, length):
    """A record with another Content-Length; without any for None."""
    before, _, rest = one.partition(b"Content-Length: ")
    return (
        before + (b"X: " if length is None else b"Content-Length: %b" % length) + rest[rest.index(b"\r\n") :]
    )


def packed(suffix, parts, each):
    """An archive of one frame, or of one for each record."""
    return b"".join(map(PACK[suffix], parts)) if each else PACK[suffix](b"".join(parts))


def require_one_bad(found, number, count):
    """Law 4: one record is listed, and every other is a document, whole."""
    assert len(found) == count
    for at, one in enumerate(found):
        if at == number:
            assert isinstance(one, Unreadable)
            assert one.record == number + 1
        else:
            assert one.text == text(at)


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("suffix", sorted(PACK))
@pytest.mark.parametrize("length", [b"100000000", b"9" * 5000, b"-7", None, b"5", b"0", b"3000", b"20000000"])
def test_a_wrong_length_costs_its_record_alone(tmp_path, suffix, each, length):
    parts = [whole(number) for number in range(30)]
    parts[3] = claiming(parts[3], length)
    path = tmp_path / f"a.wet{suffix}"
    path.write_bytes(packed(suffix, parts, each))
    for limit in (1024, 1 << 24, 1 << 26):
        require_one_bad(read(path, kind="warc", limit=limit), 3, 30)


@settings(deadline=None)
@given(st.data())
def test_any_wrong_length_costs_its_record_alone(tmp_path_factory, data):
    count = data.draw(st.integers(1, 6))
    parts = [whole(number) for number in range(count)]
    wrong = data.draw(st.integers(0, count - 1))
    lengths = st.integers(-10, 1000) | st.integers(-10, 5000) | st.integers(-(10**20), 10**20)
    # One that takes in the line ends behind it costs nothing.
    length = data.draw(lengths.filter(lambda n: not 0 <= n - len(text(wrong)) <= 4))
    parts[wrong] = claiming(parts[wrong], str(length).encode())
    suffix, each = data.draw(st.sampled_from(sorted(PACK))), data.draw(st.booleans())
    path = tmp_path_factory.mktemp("warc") / f"a.warc{suffix}"
    path.write_bytes(packed(suffix, parts, each))
    limit = data.draw(st.sampled_from([1024, 1 << 20]))
    held = data.draw(st.sampled_from([0, 1 << 22]))
    if length > limit - 400:
        # Of a record that is passed over no digest is known: it may end where another one does.
        begin = len(b"".join(parts[:wrong])) + parts[wrong].index(b"\r\n\r\n") + 4
        ends = {len(b"".join(parts[: n + 1])) - behind for n in range(count) for behind in range(5)}
        assume(begin + length not in ends)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warc_records, "_HELD", held)
        require_one_bad(read(path, kind="warc", limit=limit), wrong, count)


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_record_that_is_truly_large_is_passed_over_whatever_it_holds_and_never_held(tmp_path, suffix, each):
    inner = whole(7) + b"\nWARC/1.0\r\nWARC-Type: conversion\r\n" + random.Random(0).randbytes(1 << 20)
    large = record(body=inner * 12, number=1)
    parts = [whole(0), large, whole(2), claiming(whole(3), b"99999999"), large, whole(5)]
    path = tmp_path / f"a.warc{suffix}"
    path.write_bytes(packed(suffix, parts, each))
    del parts
    tracemalloc.start()
    found = read(path, kind="warc", limit=4096)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [one.id[-1] for one in found if isinstance(one, Document)] == ["0", "2", "5"]
    bad = {one.record: one.reason for one in found if isinstance(one, Unreadable)}
    assert sorted(bad) == [2, 4, 5]
    assert f"the record has {len(large) - 4:,} bytes and max_record_bytes allows 4,096" in (bad[2], bad[5])
    assert "wrong" in bad[4] or "in the middle" in bad[4]
    assert peak < 8 << 20


def test_damage_behind_a_wrong_length_hides_no_record(tmp_path):
    """What is looked at for the end of a record may be damaged far behind it."""
    for length in (b"30000", b"100000000"):
        parts = [gzip.compress(whole(number)) for number in range(8)]
        parts[1] = gzip.compress(claiming(whole(1), length))
        parts[5] = parts[5][:40] + b"\xff" * 20 + parts[5][60:]
        path = tmp_path / "a.warc.gz"
        path.write_bytes(b"".join(parts))
        found = read(path, kind="warc", limit=1 << 20)
        assert [one.id[-1] for one in found if isinstance(one, Document)] == ["0", "2", "3", "4", "6", "7"]
        assert [one.record for one in found if isinstance(one, Unreadable)] == [2, 6]


def test_what_only_looks_like_a_record_is_none(tmp_path):
    path = tmp_path / "a.warc"
    body = b"WARC/1.0\nis how a record begins\nWARC/1.0\n\nWARC/x\n"
    path.write_bytes(whole(0) + claiming(record(body=body, number=1), b"x") + whole(2))
    require_one_bad(read(path, kind="warc"), 1, 3)


def test_a_body_of_lines_like_records_takes_no_time(tmp_path):
    path = tmp_path / "a.warc"
    body = b"WARC/1.0\nno field\n" * 50_000 + b"WARC/1.0\r\n" * 50_000
    path.write_bytes(whole(0) + claiming(record(body=body, number=1), b"x") + whole(2))
    require_one_bad(read(path, kind="warc"), 1, 3)


@pytest.mark.parametrize("cut", [b"\r\n\r\nWARC/1.0 is", b"bridge.\r\n"])
def test_a_length_that_ends_within_the_content_is_seen_by_the_digest(tmp_path, cut):
    """Where a blank line stands in it, a record may end; where `WARC/` follows, too."""
    parts = [whole(number) for number in range(3)]
    at = text(1).encode().index(cut) + (7 if cut.startswith(b"bridge") else 0)
    parts[1] = claiming(parts[1], str(at).encode())
    path = tmp_path / "a.warc"
    path.write_bytes(b"".join(parts))
    require_one_bad(read(path, kind="warc"), 1, 3)
