import bz2
import gzip
import lzma
import os
import random
import zlib
from functools import partial

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipelines.readers.bytes.decompress import (
    Damage,
    expansion,
    next_frame,
    next_sound_frame,
    open_compressed,
    open_frames,
)

COMPRESS = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "bzip2": bz2.compress,
    "xz": partial(lzma.compress, preset=0),  # A larger window takes longer to make than these data.
}
codecs = st.sampled_from(sorted(COMPRESS))


@given(st.lists(st.binary(max_size=5000), max_size=5), codecs)
def test_any_number_of_frames_is_one_stream(tmp_path_factory, parts, codec):
    path = tmp_path_factory.mktemp("frames") / "file"
    path.write_bytes(b"".join(COMPRESS[codec](part) for part in parts))
    with open_compressed(str(path), codec) as stream:
        assert stream.read() == b"".join(parts)


@given(st.binary(min_size=1, max_size=3000), codecs, st.floats(0, 1))
def test_a_cut_file_gives_a_beginning_and_then_an_error(tmp_path_factory, data, codec, share):
    whole = COMPRESS[codec](data)
    path = tmp_path_factory.mktemp("cut") / "file"
    path.write_bytes(whole[: max(1, min(len(whole) - 1, int(share * len(whole))))])
    found: list[bytes] = []
    with pytest.raises(OSError, match="ends in the middle"):
        read_into(found, str(path), codec)
    assert data.startswith(b"".join(found))


def read_into(found, path, codec):
    with open_compressed(path, codec) as stream:
        while block := stream.read1():
            found.append(block)


@pytest.mark.parametrize("codec", ["gzip", "xz"])
def test_padding_behind_a_file_is_no_damage(tmp_path, codec):
    path = tmp_path / "file"
    path.write_bytes(COMPRESS[codec](b"text") + b"\0" * 200_000)
    with open_compressed(str(path), codec) as stream:
        assert stream.read() == b"text"


@pytest.mark.parametrize("codec", sorted(COMPRESS))
def test_damage_is_an_error(tmp_path, codec):
    path = tmp_path / "file"
    path.write_bytes(b"this is not compressed")
    with open_compressed(str(path), codec) as stream, pytest.raises(OSError, match="damaged"):
        stream.read()


def test_expansion_is_told_by_the_beginning(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(zlib.compress(b"x" * 10**6, wbits=31))
    assert expansion(str(path), "gzip") > 100
    assert expansion(str(path), "zstd") == expansion(str(path), "bzip2") == expansion(str(path), "xz") == 1.0
    path.write_bytes(bz2.compress(b"x" * 10**7))
    assert expansion(str(path), "bzip2") > 100
    # A page a frame, as WET files have it, or an empty frame at first, say as much as one of all.
    pages = [random.Random(n).randbytes(500).hex().encode() * 20 for n in range(400)]
    path.write_bytes(b"".join(gzip.compress(page) for page in (b"", *pages)))
    assert abs(expansion(str(path), "gzip") / (sum(map(len, pages)) / path.stat().st_size) - 1) < 0.01


# bzip2 and zstd give whole blocks, so of them some frames lie before the damaged one.
@pytest.mark.parametrize(("codec", "frames"), [("gzip", 1), ("xz", 1), ("bzip2", 10), ("zstd", 10)])
def test_a_damaged_file_gives_all_that_comes_before(tmp_path, codec, frames):
    parts = [os.urandom(20_000).hex().encode() for _ in range(frames)]
    compressed = [COMPRESS[codec](part) for part in parts]
    data = bytearray(b"".join(compressed))
    data[len(b"".join(compressed[: frames // 2])) + len(compressed[0]) // 2] ^= 0xFF
    (tmp_path / "file").write_bytes(data)
    found: list[bytes] = []
    with pytest.raises(Damage, match="damaged") as error:
        read_into(found, str(tmp_path / "file"), codec)
    assert len(b"".join(found)) >= sum(map(len, parts[: frames // 2]))
    assert b"".join(found)[: 19_000 * frames] == b"".join(parts)[: len(b"".join(found))][: 19_000 * frames]
    assert error.value.errno is None
    assert error.value.frame == len(b"".join(compressed[: frames // 2]))
    assert error.value.start == sum(map(len, parts[: frames // 2]))


@pytest.mark.parametrize(("codec", "most"), [("bzip2", 5_000_000), ("zstd", 70_000_000)])
def test_a_block_that_unpacks_to_very_much_is_given_out_in_parts(tmp_path, codec, most):
    path = tmp_path / "file"
    path.write_bytes(COMPRESS[codec](bytes(3 * most)) + b"damage")
    assert expansion(str(path), codec) > 1000
    with open_frames(str(path), codec) as stream:
        given_out = 0
        while given_out < 3 * most:
            size = len(stream.read(1 << 30))
            assert 0 < size < most
            given_out += size
        with pytest.raises(Damage):
            stream.read(1)


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8), codecs, st.data())
def test_frames_are_found_again_and_a_limit_lies_where_the_next_one_begins(
    tmp_path_factory, parts, codec, data
):
    path = tmp_path_factory.mktemp("frames") / "file"
    compressed = [COMPRESS[codec](part) for part in parts]
    path.write_bytes(b"".join(compressed))
    starts = [sum(map(len, compressed[:n])) for n in range(len(parts))]
    begin = data.draw(st.integers(0, path.stat().st_size))
    expected = next((n for n, start in enumerate(starts) if start >= begin), None)
    wanted = parts[expected][:4] if expected is not None else b"none"
    found = next_frame(str(path), codec, begin, starts=wanted)
    assert found in starts or found is None
    if expected is None or found is None:
        assert expected is found is None
        return
    assert starts[expected] == found
    assert next_frame(str(path), codec, begin, found) is None
    with open_frames(str(path), codec, found, begin + 1) as stream:
        assert b"".join(iter(lambda: stream.read(100), b"")) == b"".join(parts[expected:])
        later = next((n for n, start in enumerate(starts) if start > begin), None)
        before = None if later is None else sum(map(len, parts[expected:later]))
        assert stream.limit == before


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
@pytest.mark.parametrize("behind", [1, 5])
def test_a_wrong_checksum_is_a_fault_to_who_doubts_and_damage_to_others(tmp_path, codec, behind):
    """gzip ends with the checksum and the length, zstd with the checksum."""
    parts = [os.urandom(20_000).hex().encode() for _ in range(3)]
    frames = [bytearray(COMPRESS[codec](part)) for part in parts]
    frames[1][-(behind if codec == "gzip" else 1)] ^= 1
    path = tmp_path / "file"
    path.write_bytes(b"".join(frames))
    with open_frames(str(path), codec, doubting=True) as stream:
        assert b"".join(iter(lambda: stream.read(1000), b"")) == b"".join(parts)
        (fault,) = stream.faults
        assert (fault.start, fault.end) == (40_000, 80_000)
        assert stream.checked == 120_000
    with open_compressed(str(path), codec) as stream, pytest.raises(Damage) as error:
        stream.read()
    assert (error.value.frame, error.value.start, error.value.cut) == (len(frames[0]), 40_000, False)


def test_of_bzip2_every_block_that_was_given_is_checked(tmp_path):
    """Also where a block's last byte is the last of what is read at a time."""
    path = tmp_path / "file"
    blocks = [random.Random(n).randbytes(60_000).hex().encode() for n in range(2)]
    data = bytearray(bz2.compress(b"".join(blocks), 1))
    at = data.index(b"1AY&SY", 10) if b"1AY&SY" in data[10:] else len(data) // 2
    data[at + len(data) // 3] ^= 1
    path.write_bytes(data)
    found: list[bytes] = []
    with pytest.raises(Damage):
        read_into(found, str(path), "bzip2")
    assert found
    assert b"".join(blocks).startswith(b"".join(found))


@pytest.mark.parametrize("codec", sorted(COMPRESS))
def test_the_next_frame_that_can_be_read_is_found_whatever_it_begins_with(tmp_path, codec):
    parts = [os.urandom(2000).hex().encode() for _ in range(4)]
    frames = [COMPRESS[codec](part) for part in parts]
    path = tmp_path / "file"
    # A magic number in other data, a frame that lacks its end, and two that are whole.
    before = frames[0][:6] + b"none" * 5 + frames[1][:1000]
    path.write_bytes(before + frames[2] + frames[3])
    found = next_sound_frame(str(path), codec, 0)
    assert found == len(before)
    assert next_sound_frame(str(path), codec, 0, found) is None
    path.write_bytes(frames[0] + frames[1][:-20])
    assert next_sound_frame(str(path), codec, 1) == (len(frames[0]) if codec in ("gzip", "xz") else None)
