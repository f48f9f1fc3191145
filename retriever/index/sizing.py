"""N, dimension, memory and recall to an index key, its training size and its bytes.

Pure arithmetic: knows no FAISS, so a plan can be made where none is installed. The one exception
is a factory string of FAISS's own that is none of the families below: only FAISS knows its bytes.

Decisions: docs/decisions/gpu.md, index-and-codes.md.
"""

import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from base.amounts import amount
from base.errors import RalmError

# Up to here an exhaustive scan of 384-d float16 vectors answers within 30 ms on one core (measured:
# 14 ms for 142,709), and loses nothing.
FLAT_ROWS = 262_144
# FAISS's own bounds: fewer than 39 points a list warns, more than 256 are thrown away.
POINTS_PER_LIST = 64
# Each of a product quantizer's centroids wants as many points.
_ROWS_PER_CODE = 256
# Above this recall@10 the smaller codes need to re-score hundreds of vectors for each query.
_FINE_RECALL = 0.98
# Rows a fast-scan list is padded to.
_BLOCK = 32
_ID_BYTES = 8
VALID_KEYS = (
    "auto, Flat, IVFn,CODE with CODE one of SQfp16, SQ8, PQm, PQmx4, PQmx4fs, RaBitQ or RaBitQfs ('OPQm,' in "
    "front of IVF rotates, 'MRLd,' there takes the first d dimensions), HNSWm,SQ8, HNSWm,SQfp16, or any "
    "FAISS factory string"
)

Family = Literal["flat", "ivf", "hnsw", "factory"]

_IVF = re.compile(
    r"(?:MRL(?P<first>[1-9]\d*),|(?P<rotation>RR(?P<turned>[1-9]\d*)|OPQ[1-9]\d*(?:_(?P<rotated>\d+))?),)?"
    r"IVF(?P<nlist>[1-9]\d*),(?P<code>[A-Za-z]\w*)"
)
_CODE = re.compile(r"SQfp16|SQ8|SQ6|SQ4|RaBitQ(?:fs)?|PQ([1-9]\d*)(?:x(4|8))?(fs)?")
# A graph of one neighbour or none is no graph: FAISS crashes.
_HNSW = re.compile(r"HNSW([2-9]|[1-9]\d+)[,_](SQ8|SQfp16)")
# Numbers with which FAISS crashes while it makes an index of them, or takes gigabytes for its tables.
_ABSURD = re.compile(r"(?<!\d)0+(?!\d)|HNSW1(?!\d)|x(1[7-9]|[2-9]\d|\d{3,})(?![\dx])|\d{8,}")


@dataclass(frozen=True)
class IndexKey:
    """A parsed index key: family, number of lists, and the code a vector is kept as.

    `reduced`, if not 0, is how many dimensions are coded: what a rotation leaves, or without one the first
    dimensions of a vector, which encoders that were trained for it put the most into (Kusupati et al. 2022,
    "Matryoshka Representation Learning").
    """

    text: str
    family: Family
    nlist: int = 0
    code: str = ""
    rotation: str = ""
    reduced: int = 0
    neighbours: int = 0

    @classmethod
    def parse(cls, text: str) -> "IndexKey":
        """Read a key. Raises RalmError listing the valid ones."""
        if text == "Flat":
            return cls(text, "flat", code="SQfp16")
        if found := _HNSW.fullmatch(text):
            return cls(text, "hnsw", code=found[2], neighbours=int(found[1]))
        found = _IVF.fullmatch(text)
        if found and (code := _CODE.fullmatch(found["code"])) and (not code[3] or code[2] == "4"):
            reduced = int(found["first"] or found["rotated"] or found["turned"] or 0)
            return cls(text, "ivf", int(found["nlist"]), found["code"], found["rotation"] or "", reduced)
        spelled = re.fullmatch(r"[\w,()\[\]:]+", text) and not _ABSURD.search(text)
        if not spelled or all(_faiss_index(text, one) is None for one in _dimensions(text)):
            raise RalmError(f"Unknown index key {text!r}: valid keys are {VALID_KEYS}.")
        return cls(text, "factory")

    def require_passages(self, count: int, dimension: int = 0) -> None:
        """Raise RalmError for fewer passages to train on than it needs: for its lists, codes or rotation.

        `dimension` of the vectors, 0 if nobody knows it yet: then nothing is asked for a rotation's sake.
        """
        few = f"only {amount(count, 'passages')}"
        if self.nlist > count:
            raise RalmError(
                f"{self.text} has {self.nlist:,} lists and {few} to train on: choose fewer lists, or Flat."
            )
        if self._learned > count:
            raise RalmError(f"{self.text} learns {self._learned} codes from {few}: choose Flat.")
        # FAISS would read behind the end of what so few vectors span (faiss issue 4038).
        turned = (self.reduced or dimension) if self.rotation.startswith("OPQ") else 0
        if turned > count:
            raise RalmError(
                f"{self.text} learns a rotation to {turned} dimensions from {few}: choose one without OPQ, "
                "or Flat."
            )

    @property
    def exact(self) -> bool:
        """Whether the stored vectors are its codes, and their scores its own: re-scoring changes nothing."""
        return self.family == "flat"

    @property
    def has_lists(self) -> bool:
        """Whether its codes lie in lists of ours: some may be probed, stay on disk, or lie on GPUs."""
        return self.family == "ivf"

    @property
    def is_graph(self) -> bool:
        """Whether it is one file of links between all rows, made in training: no part is searched alone."""
        return self.family == "hnsw"

    @property
    def foreign(self) -> bool:
        """Whether FAISS alone knows what it is: it is tried in another process before it is taken."""
        return self.family == "factory"

    @property
    def fast_scan(self) -> bool:
        """Whether a loaded list is laid out in blocks that SIMD registers scan."""
        return self.code.endswith("fs")

    @property
    def in_pages(self) -> bool:
        """Whether GPUs hold its codes in pages (`retriever/index/paged/`)."""
        return self.has_lists and self.code.startswith("PQ")

    @property
    def first(self) -> int:
        """How many of a vector's first dimensions are coded; 0: all."""
        return 0 if self.rotation else self.reduced

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU trains it and encodes with it (`codec.py`)."""
        coded = self.code.startswith("PQ") or self.code in ("SQ8", "SQfp16")
        return self.exact or (self.has_lists and coded)

    @property
    def factory(self) -> str:
        """The FAISS factory string of the index that is trained and encodes.

        Fast-scan lists hold the same codes in another order, which only a loaded index needs.
        """
        if self.family == "flat":
            return "SQfp16"
        if self.family == "hnsw":
            return f"HNSW{self.neighbours}_{self.code}"
        if self.family == "ivf":
            head = f"{self.rotation}," if self.rotation else ""
            return f"{head}IVF{self.nlist},{self.code.removesuffix('fs')}"
        return self.text

    @property
    def training_rows(self) -> int:
        """Passages the quantizer is trained on, if the store has so many."""
        if self.foreign:
            return 256 * POINTS_PER_LIST * 4
        codebook = _ROWS_PER_CODE * self._learned
        scalar = 4096 if self.code in ("SQ8", "SQ6", "SQ4") else 0
        return max(self.nlist * POINTS_PER_LIST, codebook, scalar)

    @property
    def _learned(self) -> int:
        """Codes that a part's centroids are learned for; 0 where none are."""
        if self.rotation.startswith("OPQ"):
            return 256  # FAISS learns a rotation with codes of its own.
        return 2 ** self.parts[1] if self.parts else 0

    @cached_property
    def parts(self) -> tuple[int, int] | None:
        """Number of parts and bits of each, of a product quantizer."""
        found = _CODE.fullmatch(self.code)
        return (int(found[1]), int(found[2] or 8)) if found and found[1] else None

    def code_bytes(self, dimension: int) -> int:
        """Bytes of one vector's code, without its list number."""
        dimension = self.reduced or dimension
        if self.parts:
            return math.ceil(self.parts[0] * self.parts[1] / 8)
        if self.code.startswith("RaBitQ"):
            # A bit a dimension and two floats (Gao, Long 2024, "RaBitQ").
            return math.ceil(dimension / 8) + 8
        bits = {"SQfp16": 16, "SQ8": 8, "SQ6": 6, "SQ4": 4}[self.code]
        return math.ceil(dimension * bits / 8)

    def bytes(self, rows: int, dimension: int) -> int:
        """Memory of the loaded index in bytes: codes, ids, centroids, codebooks, rotation, graph."""
        if self.foreign:
            return _factory_bytes(self.text, rows, dimension)
        each = self.code_bytes(dimension)
        rotation = 4 * dimension * (self.reduced or dimension) if self.rotation else 0
        dimension = self.reduced or dimension
        if self.family == "flat":
            return rows * each
        tables = dimension * 8 if self.code in ("SQ8", "SQ6", "SQ4") else 0
        if self.family == "hnsw":
            # 2 m neighbours on the lowest level, m on each above, where 1/m of the rows are;
            # an offset and a level each (Malkov, Yashunin 2018).
            m = self.neighbours
            return int(rows * (each + 4 * (2 * m + m / (m - 1)) + 12)) + tables
        tables += self._table_bytes(dimension) + rotation
        # A list's last block is half empty on average.
        padding = self.nlist * each * (_BLOCK - 1) // 2 if self.fast_scan else 0
        return rows * (each + _ID_BYTES) + self.nlist * (4 * dimension + 16) + padding + tables

    def _table_bytes(self, dimension: int) -> int:
        codebook = 4 * dimension * 2 ** self.parts[1] if self.parts else 0
        if self.code.startswith("RaBitQ"):
            codebook = 4 * dimension
        return codebook

    def check(self, dimension: int) -> None:
        """Raise RalmError if vectors of this dimension cannot be coded so."""
        if self.reduced > dimension:
            raise RalmError(f"{self.text}: vectors have {dimension} dimensions, not {self.reduced} or more.")
        dimension = self.reduced or dimension
        turned = re.match(r"OPQ(\d+)", self.rotation)
        for name, count in (
            ("OPQ", int(turned[1]) if turned else 1),
            ("PQ", self.parts[0] if self.parts else 1),
        ):
            if dimension % count:
                near = max(m for m in range(1, count + 1) if dimension % m == 0)
                raise RalmError(
                    f"{self.text}: {dimension} dimensions cannot be cut into {count} equal parts: "
                    f"{name}{near} can."
                )
        if self.foreign and _faiss_index(self.text, dimension) is None:
            raise RalmError(f"FAISS makes no index {self.text!r} for {dimension} dimensions.")


def _dimensions(text: str) -> list[int]:
    """Dimensions that FAISS may make an index of a factory string for: those that its parts divide."""
    parts = [int(found) for found in re.findall(r"PQ(\d+)", text)]
    return [64, *(8 * one for one in parts if one <= 512)]


def _faiss_index(text: str, dimension: int) -> Any | None:
    """An empty index of FAISS's, or None if it knows no such string."""
    import faiss

    try:
        return faiss.index_factory(dimension, text, faiss.METRIC_INNER_PRODUCT)
    except (RuntimeError, MemoryError):
        return None


def _factory_bytes(text: str, rows: int, dimension: int) -> int:
    """What FAISS says of an index that is no family of ours: codes and ids, without tables."""
    index = _faiss_index(text, dimension)
    try:
        return int(rows * (index.sa_code_size() + _ID_BYTES * hasattr(index, "invlists"))) if index else 0
    except RuntimeError:
        return rows * (4 * dimension + _ID_BYTES)  # No codec of its own: float32 at worst.


def list_count(rows: int) -> int:
    """A power of two near 2 sqrt(N): between sqrt(N) and 4 sqrt(N), as FAISS's guidelines have it."""
    return 1 << max(0, round(math.log2(max(1.0, 2 * math.sqrt(rows)))))


def choose_key(rows: int, dimension: int, memory: int, recall: float = 0.95) -> IndexKey:
    """The fastest key that fits in `memory` bytes and reaches `recall`@10 by re-scoring.

    Exhaustive while that is quick; then product codes of 4 bits for every 4 dimensions, which found most
    in the least time of codes their size; bytes a dimension for a recall above 0.98; 4 bits for every 8
    dimensions where memory is short. Raises RalmError if nothing fits.
    """
    flat = IndexKey.parse("Flat")
    if rows <= FLAT_ROWS and flat.bytes(rows, dimension) <= memory:
        return flat
    ivf = f"IVF{list_count(rows)}"
    codes = ["SQ8"] if recall > _FINE_RECALL or dimension % 4 else []
    codes += [f"PQ{dimension // n}x4fs" for n in (4, 8) if dimension % n == 0]
    keys = [IndexKey.parse(f"{ivf},{code}") for code in codes]
    for key in keys:
        if key.bytes(rows, dimension) <= memory:
            return key
    least = min(key.bytes(rows, dimension) for key in keys)
    raise RalmError(
        f"An index of {rows:,} passages of {dimension} dimensions takes at least {least:,} bytes and "
        f"--index-memory allows {memory:,}: raise it."
    )
