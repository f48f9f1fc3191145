import gzip
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipelines.build.decompress import expansion, open_compressed

COMPRESS = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}


@given(st.lists(st.binary(max_size=5000), max_size=5), st.sampled_from(["gzip", "zstd"]))
def test_any_number_of_frames_is_one_stream(tmp_path_factory, parts, codec):
    path = tmp_path_factory.mktemp("frames") / "file"
    path.write_bytes(b"".join(COMPRESS[codec](part) for part in parts))
    with open_compressed(str(path), codec) as stream:
        assert stream.read() == b"".join(parts)


@given(st.binary(min_size=1, max_size=3000), st.sampled_from(["gzip", "zstd"]), st.floats(0, 1))
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


def test_padding_behind_gzip_is_no_damage(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(b"text") + b"\0" * 200_000)
    with open_compressed(str(path), "gzip") as stream:
        assert stream.read() == b"text"


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_damage_is_an_error(tmp_path, codec):
    path = tmp_path / "file"
    path.write_bytes(b"this is not compressed")
    with open_compressed(str(path), codec) as stream, pytest.raises(OSError, match="damaged"):
        stream.read()


def test_expansion_is_told_by_the_beginning(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(zlib.compress(b"x" * 10**6, wbits=31))
    assert expansion(str(path), "gzip") > 100
    assert expansion(str(path), "zstd") == 1.0


def test_a_damaged_gzip_file_gives_all_that_comes_before(tmp_path):
    lines = b"".join(b"line number %d of the file\n" % n for n in range(20_000))
    data = bytearray(gzip.compress(lines))
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "file").write_bytes(data)
    found: list[bytes] = []
    with pytest.raises(OSError, match="damaged"):
        read_into(found, str(tmp_path / "file"), "gzip")
    assert len(b"".join(found)) > 0.45 * len(lines)
    assert lines.startswith(b"".join(found)[: int(0.45 * len(lines))])
