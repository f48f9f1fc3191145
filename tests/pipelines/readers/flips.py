"""Records of every format that may be compressed, files of them with a bit flipped, and what may be found."""

import bz2
import gzip
import json
import lzma
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import zstandard

from datastore.schema import Document
from pipelines.readers.records import Doubtful, Record, Unreadable
from tests.pipelines.readers.reading import END, HEAD, page, record

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    "bz2": bz2.compress,
    "xz": partial(lzma.compress, preset=0),  # A larger window takes longer to make than these data.
}


@dataclass(frozen=True)
class Framed:
    """Records, and a file of frames that they are cut into at `cuts`."""

    records: Sequence[bytes]
    cuts: Sequence[int]
    suffix: str

    @cached_property
    def _frames(self) -> list[bytes]:
        whole = b"".join(self.records)
        ends = [*self.cuts, len(whole)]
        return [COMPRESS[self.suffix](whole[a:b]) for a, b in zip([0, *self.cuts], ends, strict=True)]

    @property
    def bytes(self) -> bytes:
        return b"".join(self._frames)

    def flipped(self, bit: int) -> "tuple[bytes, set[int]]":
        """The file with one bit changed, and the records (from 0) that lie in the frame of that bit."""
        data = bytearray(self.bytes)
        at, mask = divmod(bit % (8 * len(data)), 8)
        data[at] ^= 1 << mask
        ends = [0]
        for frame in self._frames:
            ends.append(ends[-1] + len(frame))
        frame = next(n for n, end in enumerate(ends[1:]) if at < end)
        begin, end = [0, *self.cuts, 1 << 60][frame : frame + 2]
        touched, position = set(), 0
        for number, written in enumerate(self.records):
            if position < end and position + len(written) > begin:
                touched.add(number)
            position += len(written)
        return bytes(data), touched


def words(number: int, count: int = 40) -> str:
    """Text that is not too easy to compress, the same each time."""
    draw = random.Random(number)
    return " ".join(f"{draw.getrandbits(24):x}" for _ in range(count))


def lines_of(count: int) -> list[bytes]:
    """Records as JSON Lines: the id of record n is n, its text `words(n)`."""
    return [json.dumps({"id": str(n), "text": words(n)}).encode() + b"\n" for n in range(count)]


def _array(count: int) -> list[bytes]:
    first, *others = (line.rstrip() for line in lines_of(count))
    return [b"[\n" + first, *(b",\n" + one for one in others[:-1]), b",\n" + others[-1] + b"\n]\n"]


def _dump(count: int) -> list[bytes]:
    first, *others = (page(n, words(n)) for n in range(count))
    return [HEAD + first, *others[:-1], others[-1] + END]


# Forty records of each format that may be compressed; tables hang on a header and have tests of their own.
SAMPLES = {
    "jsonl": lines_of(40),
    "json": _array(40),
    "warc": [record(body=words(n).encode(), number=n) for n in range(40)],
    "mediawiki": _dump(40),
}


def sizes_cut(records: Sequence[bytes]) -> dict[str, list[int]]:
    """Where frames may be cut: one of all, some records in each, one in each, or anywhere."""
    ends = [sum(map(len, records[:n])) for n in range(1, len(records))]
    size = sum(map(len, records))
    return {"one": [], "some": ends[9::10], "each": ends, "anywhere": [*range(997, size, 3001)]}


def check(found: Sequence[Record], doubtful: Sequence[Doubtful], touched: set[int], count: int) -> None:
    """Law 4: a record holds what was written, or it is doubtful, or it is listed as unreadable.

    Record n holds `words(n)`, its id ends in n. Only those in the damaged frame may be lost or doubted, and
    the one behind it doubted: what was a line end may have become white space before it.
    """
    whole, doubts = set(), 0
    for number, one in enumerate(found, 1):
        listed = any(each.first <= number <= each.last for each in doubtful)
        if isinstance(one, Unreadable):
            assert one.record == number
        elif isinstance(one, Document):
            doubts += listed
            name = one.id.rpartition(":")[2]
            if name in map(str, range(count)) and one.text == words(int(name)):
                whole.add(int(name))
                assert not listed or {int(name), int(name) - 1} & touched
            else:
                assert listed, one
    assert doubts == sum(one.documents for one in doubtful)
    lost = set(range(count)) - whole
    assert lost <= touched
    assert not lost or doubtful or any(isinstance(one, Unreadable) for one in found)
