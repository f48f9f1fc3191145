import gzip
import random
import zlib
from contextlib import suppress

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from base.foreign import Refused
from pipelines.readers.bytes.codings import TooLarge, unpacked

PAGE = b"<html><p>The old stone bridge was built in 1787.</p></html>" * 40
LIMIT = 1 << 20


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACK = {
    "gzip": gzip.compress,
    "x-gzip": lambda data: gzip.compress(data[:50]) + gzip.compress(data[50:]),
    "deflate": zlib.compress,
    "br": lambda data: brotli.compress(data, quality=5),
    "zstd": zstandard.compress,
    "identity": bytes,
}


@given(st.lists(st.sampled_from(sorted(PACK)), max_size=3), st.binary(max_size=300).map(lambda b: b"<p>" + b))
def test_whatever_is_packed_is_unpacked(codings, data):
    body = data
    for coding in codings:
        body = PACK[coding](body)
    assert unpacked(body, codings, LIMIT) == data


def test_frames_and_streams_in_a_row_and_raw_deflate():
    assert unpacked(zstandard.compress(PAGE) * 3, ["zstd"], LIMIT) == PAGE * 3
    assert unpacked(raw_deflate(PAGE), ["deflate"], LIMIT) == PAGE
    assert unpacked(gzip.compress(PAGE) + b"\0\0junk", ["gzip"], LIMIT) == PAGE
    assert unpacked(brotli.compress(PAGE) + b"\r\njunk", ["br"], LIMIT) == PAGE


def test_many_members_take_no_longer_than_their_bytes():
    empty = gzip.compress(b"")
    # The rest copied for each of them would be twenty gigabytes.
    assert unpacked(empty * 50_000 + gzip.compress(PAGE), ["gzip"], LIMIT) == PAGE


@given(st.sampled_from(sorted(PACK)), st.sampled_from(["", "é".encode("utf-16"), b"\n\n ", b"\xef\xbb\xbf"]))
def test_what_was_unpacked_before_stays(coding, before):
    page = (before or b"") + PAGE
    assert unpacked(page, [coding], LIMIT) == page
    assert unpacked(page, ["utf-8", coding], LIMIT) == page


@pytest.mark.parametrize("coding", ["gzip", "br", "none-such", "deflate"])
def test_what_is_packed_otherwise_than_stated_says_so_by_its_first_bytes(coding):
    assert unpacked(gzip.compress(PAGE), [coding], LIMIT) == PAGE
    assert unpacked(zstandard.compress(PAGE), [coding], LIMIT) == PAGE
    assert unpacked(gzip.compress(gzip.compress(PAGE)), ["gzip"], LIMIT) == PAGE
    assert unpacked(gzip.compress(PAGE), [], LIMIT) == PAGE


@pytest.mark.parametrize("coding", sorted(set(PACK) - {"identity"}))
def test_a_body_that_breaks_off_gives_its_beginning(coding):
    chosen = random.Random(0)
    text = b"<p>" + b"".join(b"%d " % chosen.randrange(10**9) for _ in range(60_000))
    body = PACK[coding](text)
    found = unpacked(body[: len(body) // 2], [coding], LIMIT)
    assert text.startswith(found)
    assert len(found) > len(text) // 4 or coding == "zstd"
    assert found


@given(st.sampled_from(sorted(PACK)), st.binary())
def test_any_bytes_are_unpacked_or_refused(coding, body):
    with suppress(Refused):
        assert len(unpacked(body, [coding], LIMIT)) <= LIMIT


@pytest.mark.parametrize("coding", sorted(set(PACK) - {"identity"}))
def test_a_bomb_is_too_large_and_never_held(coding):
    bomb = PACK[coding](bytes(50_000_000))
    with pytest.raises(TooLarge):
        unpacked(bomb, [coding], 10_000)
    # Packed once more, it is small.
    with pytest.raises(TooLarge):
        unpacked(PACK[coding](bomb), [coding, coding], 10_000_000)


def test_what_is_packed_in_an_unknown_way_says_so():
    with pytest.raises(Refused, match="codings 'compress' do not lead to text"):
        unpacked(b"\x1f\x9d\x90" + bytes(range(64)), ["compress"], LIMIT)
