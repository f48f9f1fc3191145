"""Lines of a byte stream: ranges that touch share and lose none, and no line is too long for memory."""

from typing import BinaryIO

from pipelines.readers.bytes.decompress import open_compressed
from pipelines.readers.bytes.endings import compression
from pipelines.readers.bytes.files import open_file

_BLOCK = 1 << 20


def open_stream(path: str, frame: int = 0, doubting: bool = False) -> BinaryIO:
    """Open a file for reading bytes, decompressed as its name tells: from the frame on that begins there.

    If `doubting`, `raw` is a `Decompressed` that tells which of them are in doubt.
    """
    codec = compression(path)
    if codec is None:
        return open_file(path, _BLOCK)
    return open_compressed(path, codec, frame, doubting)


def skip_to_line(stream: BinaryIO, begin: int, end: int = -1) -> int:
    """Go to the first line that starts at or after `begin`; return the bytes skipped after `begin`.

    A line belongs to the range in which its first byte lies. Nobody looks on behind `end` (-1: the file's
    end): in a file of one long line every range would read it to its end.
    """
    if not begin:
        return 0
    stream.seek(begin - 1)
    skipped = 0
    while (end < 0 or begin - 1 + skipped < end) and (piece := stream.readline(_BLOCK)):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped - 1


def bounded_line(stream: BinaryIO, limit: int) -> tuple[bytes | None, int]:
    """Read a line of at most `limit` bytes; of a longer one only its length, in bounded memory."""
    line = stream.readline(limit + 1)
    length = len(line)
    if length <= limit or line.endswith(b"\n"):
        return line, length
    del line
    while piece := stream.readline(_BLOCK):
        length += len(piece)
        if piece.endswith(b"\n"):
            break
    return None, length


def count_newlines(path: str, begin: int, end: int) -> int:
    """Count the newlines among bytes [begin, end) of a file."""
    found = 0
    with open_file(path) as handle:
        handle.seek(begin)
        left = end - begin
        while left > 0 and (block := handle.read(min(left, 8 * _BLOCK))):
            found += block.count(b"\n")
            left -= len(block)
    return found
