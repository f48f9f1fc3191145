"""The codecs of compressed files: how a frame begins and is fed, and what its faults mean.

Decisions: docs/decisions/readers-and-damage.md.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import zstandard

BLOCK = 1 << 16
# What one block may become at once: bzip2 makes a gigabyte of 50 kilobytes of zeros.
MOST_OUTPUT = 1 << 22
# zstd gives all that a block holds, up to 33,000 times as much; deflate up to 1,000 times.
_ZSTD_BLOCK = 1 << 11
# What `zstd --long=31` needs; the memory is taken only by files that ask for it.
_LONGEST_WINDOW = 2**31

CODECS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "zstd": lambda: zstandard.ZstdDecompressor(max_window_size=_LONGEST_WINDOW).decompressobj(),
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
}
# How frames begin. bzip2's is one of 80 bits with the level between: in other data it is not found by chance.
MAGIC = {"gzip": b"\x1f\x8b\x08", "zstd": b"\x28\xb5\x2f\xfd", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00"}
BZIP2_BLOCK = b"1AY&SY"
# zstd's frames that hold no data, as of its seekable format.
SKIPPABLE = tuple(bytes([number]) + b"\x2a\x4d\x18" for number in range(0x50, 0x60))
# The bytes of an empty member of gzip: fewer, behind another one, can hold nothing.
LEAST = 20
# How libraries say that nothing but the checksum is wrong, and how many bytes of the frame follow it.
_WRONG_SUMS = {
    "gzip": (("incorrect data check", 4), ("incorrect length check", 0)),
    "zstd": (("checksum", 0),),
}
FAULTS = (zlib.error, zstandard.ZstdError, lzma.LZMAError, OSError, EOFError)


def block_of(codec: str) -> int:
    """Bytes that a decompressor is given at a time."""
    return _ZSTD_BLOCK if codec == "zstd" else BLOCK


def decompress(frame: Any, data: bytes) -> bytes:
    """Feed a block, and take what it gives: from bzip2 and xz a part, if it is much."""
    if not hasattr(frame, "needs_input"):
        return frame.decompress(data)  # type: ignore[no-any-return]
    output: bytes = frame.decompress(data, MOST_OUTPUT)
    # Python asks libbz2 for no more once the input is used up, though it may hold the end of a block back. It
    # compares a block's checksum with the last byte: without that a damaged one would be given in part.
    while output and isinstance(frame, bz2.BZ2Decompressor) and frame.needs_input:
        if not (more := frame.decompress(b"", MOST_OUTPUT)):
            break
        output += more
    return output


def pieces(frame: Any, data: bytes) -> Iterator[bytes]:
    """Feed a block, and take all it gives."""
    yield decompress(frame, data)
    while not frame.eof and not getattr(frame, "needs_input", True):
        yield decompress(frame, b"")


def end_of(codec: str, error: Exception, at: int) -> int | None:
    """Where in the file a frame ends that `at` shows a fault; None unless its checksum alone is wrong."""
    known = [at + behind for words, behind in _WRONG_SUMS.get(codec, ()) if words in str(error)]
    return known[0] if known else None
