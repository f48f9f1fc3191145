"""N, dimension and a memory budget to an index key, its training size and its bytes.

Pure arithmetic: knows no FAISS, so a plan can be made where none is installed.
"""

import math
import re
from dataclasses import dataclass

from datastore.errors import RalmError

# Up to here an exhaustive scan of 384-d float16 vectors answers within 30 ms on one core (measured:
# 14 ms for 142,709), and loses nothing.
FLAT_ROWS = 262_144
# FAISS's own bounds: fewer than 39 points a list warns, more than 256 are thrown away.
POINTS_PER_LIST = 64
VALID_KEYS = "auto, Flat, IVFn,SQ8 (for example IVF1024,SQ8)"


@dataclass(frozen=True, slots=True)
class IndexKey:
    """A parsed index key: `Flat` (float16, exact) or `IVFn,SQ8` (n lists, one byte a dimension)."""

    text: str
    nlist: int

    @classmethod
    def parse(cls, text: str) -> "IndexKey":
        """Read a key. Raises RalmError listing the valid ones."""
        if text == "Flat":
            return cls(text, 0)
        if found := re.fullmatch(r"IVF([1-9]\d*),SQ8", text):
            return cls(text, int(found[1]))
        raise RalmError(f"Unknown index key {text!r}: valid keys are {VALID_KEYS}.")

    @property
    def nprobe(self) -> int:
        """Lists a search probes by default: a quarter of them, at least 16 where there are so many.

        Questions lie far from the passages that answer them: on 142,709 passages of 7 domains a
        quarter of 1,024 lists gives 0.98 of an exhaustive search's first ten, an eighth 0.97.
        """
        return min(self.nlist, max(16, self.nlist // 4))

    @property
    def training_rows(self) -> int:
        """Passages the quantizer is trained on, if the store has so many."""
        return self.nlist * POINTS_PER_LIST

    def bytes(self, rows: int, dimension: int) -> int:
        """Memory of the loaded index in bytes: codes, ids and centroids."""
        if not self.nlist:
            return rows * dimension * 2
        return rows * (dimension + 8) + self.nlist * dimension * 4


def choose_key(rows: int, dimension: int, memory: int) -> IndexKey:
    """The most exact key whose index fits in `memory` bytes. Raises RalmError if none does."""
    flat = IndexKey.parse("Flat")
    if rows <= FLAT_ROWS and flat.bytes(rows, dimension) <= memory:
        return flat
    # Between sqrt(N) and 4 sqrt(N) lists, as the FAISS guidelines have it, as a power of two.
    nlist = 2 ** round(math.log2(max(1.0, 2 * math.sqrt(rows))))
    key = IndexKey.parse(f"IVF{nlist},SQ8")
    if key.bytes(rows, dimension) > memory:
        raise RalmError(
            f"An index of {rows:,} passages of {dimension} dimensions takes "
            f"{key.bytes(rows, dimension):,} bytes and --index-memory allows {memory:,}: raise it."
        )
    return key


_UNITS = {"": 1, "B": 1}
_UNITS |= {f"{p}iB": 1024**i for i, p in enumerate("KMGT", 1)}
_UNITS |= {f"{p}B": 1000**i for i, p in enumerate("KMGT", 1)}


def parse_bytes(text: str) -> int:
    """Read a size such as 4GiB, 500MB or 1024. Raises RalmError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text.strip())
    if not found or found[2] not in _UNITS:
        raise RalmError(f"{text!r} is not a size: write it as 4GiB, 500MB or 1024.")
    return int(float(found[1]) * _UNITS[found[2]])
