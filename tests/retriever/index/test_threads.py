import faiss
import numpy as np
import pytest
import torch

from retriever.encoding.encoder import Encoder
from retriever.index.threads import searching
from retriever.local import LocalRetriever
from tests.vectors import dense


def test_a_search_finds_the_same_and_on_one_thread(store, two_threads, monkeypatch):
    retriever, queries = LocalRetriever.open(store), ["who makes blue glass?"] * 3
    seen = []
    forward = Encoder._forward
    monkeypatch.setattr(Encoder, "_forward", lambda *a: seen.append(torch.get_num_threads()) or forward(*a))
    alone = retriever.search(queries, dense(5))
    assert seen == [1]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert [[h.row for h in r.hits] for r in retriever.search(queries, dense(5))] == [
        [h.row for h in r.hits] for r in alone
    ]
    assert seen == [1, 2]
    assert np.isfinite([hit.score for hit in alone[0].hits]).all()


def test_what_is_soon_done_takes_one_thread(two_threads):
    with searching(1e6):
        assert faiss.omp_get_max_threads() == 1
    with searching(1e10):
        assert faiss.omp_get_max_threads() == 2
    assert (torch.get_num_threads(), faiss.omp_get_max_threads()) == (2, 2)


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_what_the_environment_says_is_left_as_it_is(two_threads, monkeypatch, name):
    monkeypatch.setenv(name, "2")
    with searching(1):
        assert faiss.omp_get_max_threads() == 2
