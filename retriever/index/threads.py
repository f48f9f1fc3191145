"""How many threads a search of FAISS takes: one, unless there is enough to do for several.

FAISS takes every core for the smallest search. `retriever/encoding/threads.py` says what that costs.

Decisions: docs/decisions/threads.md.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import faiss

from base.threads import given

# Multiplications of queries with vectors: what one thread does in ten milliseconds.
_SHARED_PRODUCTS = 2e8


@contextmanager
def searching(products: float) -> Iterator[None]:
    """Run FAISS in this thread on one thread, unless so many multiplications are worth more. Same results."""
    if given() or products >= _SHARED_PRODUCTS:
        yield
        return
    with one_thread():
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """Run FAISS in this thread on one thread."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
