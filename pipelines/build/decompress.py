"""Compressed files as byte streams that give all they can: data before damage, then an error.

Library readers raise as soon as a block cannot be filled and lose what they had decompressed of it;
here a truncated file yields everything up to the cut first, and a damaged gzip file everything up to the
damage (zstd checks whole blocks and gives none of a damaged one).
"""

import io
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

import zstandard

from pipelines.build.files import open_file, open_short

_BLOCK = 1 << 16
# What `zstd --long=31` needs; the memory is taken only by files that ask for it.
_LONGEST_WINDOW = 2**31

CODECS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "zstd": lambda: zstandard.ZstdDecompressor(max_window_size=_LONGEST_WINDOW).decompressobj(),
}


class _Decompressed(io.RawIOBase):
    """The decompressed bytes of a file of one or several frames."""

    def __init__(self, raw: BinaryIO, codec: str) -> None:
        self._raw = raw
        self._open = CODECS[codec]
        self._frame: Any = None
        self._input = b""
        self._output = memoryview(b"")
        self._damage = ""

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        view = memoryview(target)
        while not self._output:
            if not self._decompress():
                return 0
        size = min(len(view), len(self._output))
        view[:size] = self._output[:size]
        self._output = self._output[size:]
        return size

    def _decompress(self) -> bool:
        """Decompress one block of input; false at the end. Raises OSError at damage or a cut."""
        if self._damage:
            raise OSError(self._damage)
        data = self._input or self._raw.read(_BLOCK)
        self._input = b""
        if not data:
            if self._frame is not None:
                raise OSError("it ends in the middle of a compressed block")
            return False
        if self._frame is None:
            data = data.lstrip(b"\0")  # gzip may pad its end with zeros, for tapes.
            if not data:
                return True
            self._frame = self._open()
        before = self._frame.copy() if hasattr(self._frame, "copy") else None
        try:
            self._output = memoryview(self._frame.decompress(data))
        except (zlib.error, zstandard.ZstdError) as error:
            self._damage = f"damaged compressed data: {error}"
            self._output = memoryview(_until_damage(before, data) if before else b"")
            return True
        if self._frame.eof:
            self._input, self._frame = self._frame.unused_data, None
        return True

    def close(self) -> None:
        self._raw.close()
        super().close()


def _until_damage(frame: Any, data: bytes) -> bytes:
    """What a block gives before its damage: byte by byte, from the state before the block."""
    found = bytearray()
    try:
        for at in range(len(data)):
            found += frame.decompress(data[at : at + 1])
    except zlib.error:
        pass
    return bytes(found)


def open_compressed(path: str, codec: str) -> BinaryIO:
    """Open a "gzip" or "zstd" file of any number of frames for reading its decompressed bytes."""
    # Closed with the stream around it.
    return io.BufferedReader(_Decompressed(open_file(path, 0), codec), 1 << 20)


def expansion(path: str, codec: str) -> float:
    """Decompressed bytes for each byte of a file, by its beginning; 1 if it cannot be read."""
    with open_short(path) as raw:
        data = raw.read(1 << 20)
    try:
        found = len(CODECS[codec]().decompress(data))
    except (zlib.error, zstandard.ZstdError):
        return 1.0
    return found / max(1, len(data))
