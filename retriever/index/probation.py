"""Whether FAISS can do with an index all that a store asks of it, found out in a process of its own.

Of any factory string nobody but FAISS knows from how many passages it learns, or whether it searches among
some of its rows alone; and what it cannot do it says by an exception, or by ending the process. So an index
that is none of our families is trained, filled and searched there first, and only what comes back whole is
taken.

Decisions: docs/decisions/index-and-codes.md.
"""

import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from base.amounts import amount
from base.children import environment
from base.errors import RalmError
from retriever.index.sizing import IndexKey

# Vectors that it is filled with on trial, and queries.
_ROWS, _QUERIES = 10_000, 32
# Vectors that are drawn to try it with before there are passages, and how long that may take.
_DRAWN, _SECONDS = 2_000, 30.0
# The way the child ends where it has a sentence to say.
_REFUSED = 3
_MEND = "choose Flat, or lists with codes (IVFn,PQmx4fs or IVFn,SQ8)."


def train_apart(key: IndexKey, sample: NDArray[np.float32]) -> Any:
    """Train an index on a sample [n, dimension], as `faiss_index.train` does, in another process.

    Raises RalmError if that process ends otherwise than with an index that is filled in parts, is searched in
    a view, and finds more than chance would.
    """
    from retriever.index.faiss_index import read_trained

    with tempfile.TemporaryDirectory(prefix="ralm-index-") as name:
        _try(key, sample, Path(name), "build", None)
        return read_trained(Path(name) / "trained.faiss")


def require_usable(key: IndexKey, dimension: int) -> None:
    """Raise RalmError for a factory string that FAISS cannot use for vectors of this dimension.

    Asked before there are any: tried with vectors drawn at random. What needs more of them, or longer than
    half a minute to train, is found out when there are passages.
    """
    if not key.foreign:
        return
    count = max(_DRAWN, 2 * dimension)
    drawn = np.random.default_rng(0).standard_normal((count, dimension)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory(prefix="ralm-index-") as name, suppress(subprocess.TimeoutExpired):
        _try(key, drawn, Path(name), "try", _SECONDS)


def _try(
    key: IndexKey,
    sample: NDArray[np.float32],
    folder: Path,
    what: Literal["build", "try"],
    seconds: float | None,
) -> None:
    """Have a child train an index, and use it. Raises RalmError, or TimeoutExpired after so many seconds."""
    np.save(folder / "sample.npy", sample)
    command = [sys.executable, "-m", "retriever.index.probation", key.text, str(folder), what]
    ended = subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=False, timeout=seconds
    )
    if ended.returncode == _REFUSED:
        raise RalmError(ended.stdout.strip())
    if ended.returncode:
        how = f"FAISS ends its process (signal {-ended.returncode})"
        if ended.returncode > 0:
            how = f"FAISS fails ({(ended.stderr.strip() or 'no word').splitlines()[-1][:200]})"
        raise RalmError(f"{how} with an index {key.text} of {_counted(sample)}: {_MEND}")


def _counted(sample: NDArray[np.float32]) -> str:
    count, dimension = sample.shape
    return f"{amount(count, 'passages')} of {dimension} dimensions"


def _prove(key: IndexKey, sample: NDArray[np.float32]) -> bytes:
    """Train an index, and do with a copy of it what stores do. Raises RalmError."""
    from retriever.index.faiss_index import to_bytes, train

    data = to_bytes(train(key, sample))
    if _search_in_view(key, data, sample) < 0.5:
        raise RalmError(f"An index {key.text} of {_counted(sample)} finds no more than chance would: {_MEND}")
    return data


def _search_in_view(key: IndexKey, data: bytes, sample: NDArray[np.float32]) -> float:
    """As `_search`. Raises RalmError for what FAISS cannot do."""
    from retriever.index.faiss_index import reason

    try:
        return _search(key, data, sample[:_ROWS])
    except (RuntimeError, AssertionError, MemoryError) as error:
        raise RalmError(
            f"FAISS cannot fill an index {key.text} of {_counted(sample)} in parts and search it in a view "
            f"({reason(error)}): {_MEND}"
        ) from None


def _search(key: IndexKey, data: bytes, vectors: NDArray[np.float32]) -> float:
    """For how many of some queries the best row is among the first quarter of those that are found."""
    import faiss

    from retriever.index.faiss_index import SearchIndex, to_bytes

    index = _filled(data, vectors)
    # As it is written and read again.
    index = faiss.deserialize_index(np.frombuffer(to_bytes(index), np.uint8))
    search = SearchIndex(index, key, laid_out=True)
    queries = vectors[:_QUERIES]
    assigned = search.assign(queries)
    wanted = max(1, len(vectors) // 4)
    scores, found = search.search(assigned, wanted)
    if (np.diff(scores) > 0).any():
        raise RuntimeError("it ranks by distances and not by inner products")
    half = np.arange(len(vectors)) % 2 == 0
    bits = np.packbits(half, bitorder="little")
    among = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
    _, chosen = search.search(assigned, wanted, among)
    if not half[chosen[chosen >= 0]].all():
        raise RuntimeError("it shows rows that are not in the view")
    best = (queries @ vectors.T).argmax(axis=1)
    return float((found == best[:, None]).any(axis=1).mean())


def _filled(data: bytes, vectors: NDArray[np.float32]) -> Any:
    """The index with these vectors in it, added as those of two shards."""
    import faiss

    from retriever.index.faiss_index import encode, has_codec, inner_of

    index = faiss.deserialize_index(np.frombuffer(data, np.uint8))
    middle = len(vectors) // 2
    for mine in (vectors[:middle], vectors[middle:]):
        if has_codec(index):
            first = int(index.ntotal)
            inner = inner_of(index)
            if len(mine):
                codes = encode(index, mine.astype(np.float16))
                inner.add_sa_codes(codes, np.arange(first, first + len(mine)))
            index.ntotal = inner.ntotal
        elif len(mine):
            index.add(mine)
    if index.ntotal != len(vectors):
        raise RuntimeError(f"it holds {index.ntotal} of {len(vectors)} vectors")
    return index


def _fails(key: IndexKey, sample: NDArray[np.float32]) -> bytes:
    """As `_prove`, but that so few, and such, vectors may not teach it is no fault: b"" then."""
    from retriever.index.faiss_index import to_bytes, train

    try:
        data = to_bytes(train(key, sample))
    except RalmError:
        return b""
    _search_in_view(key, data, sample)
    return data


def main(text: str, folder: Path, what: str) -> int:
    """What the child does: 0 with an index in the folder, or a sentence and 3."""
    import faiss

    # As in every build: a matrix product split over threads may differ in its last bits.
    faiss.omp_set_num_threads(1)
    try:
        work = _prove if what == "build" else _fails
        data = work(IndexKey.parse(text), np.load(folder / "sample.npy"))
    except RalmError as error:
        sys.stdout.write(f"{error}\n")
        return _REFUSED
    (folder / "trained.faiss").write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
