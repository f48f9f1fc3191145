from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from retriever.index.paged import captured
from tests.retriever.index.paged.test_index import both
from tests.vectors import embeddings

pytestmark = pytest.mark.gpu


def test_captured_searches_are_safe_between_threads(monkeypatch):
    monkeypatch.setattr(captured, "_KEPT", 2)
    ours, _ = both("IVF64,PQ16", True, "cuda")
    assigned = ours.assign(embeddings(200, 3, 32).astype(np.float32), 8)
    sizes = [(at, at + size) for at in range(0, 150, 10) for size in (1, 3, 20, 50)]
    alone = [ours.search(assigned[a:b], 20) for a, b in sizes]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda ends: ours.search(assigned[slice(*ends)], 20), sizes))
    for (scores, rows), (others, theirs) in zip(alone, together, strict=True):
        assert (scores == others).all()
        assert (rows == theirs).all()
    assert len(ours._captured._made) == 2
