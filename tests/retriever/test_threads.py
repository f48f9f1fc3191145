import os
import subprocess
import sys

import faiss
import numpy as np
import pytest
import torch

from retriever.encoder import Encoder
from retriever.search import Retriever
from retriever.threads import encoding, searching, torch_threads

LARGE = 10**9


@pytest.fixture
def free(monkeypatch):
    """Two threads, and an environment that says nothing."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads(), faiss.omp_get_max_threads()
    torch.set_num_threads(2)
    faiss.omp_set_num_threads(2)
    yield
    torch.set_num_threads(before[0])
    faiss.omp_set_num_threads(before[1])


def threads_of(*given):
    with encoding(*given):
        return torch.get_num_threads()


def test_what_is_soon_done_takes_one_thread(free):
    assert threads_of(10**7, 12, 2) == 1
    assert threads_of(10**7, 4096, 2) == 2
    # A large model's weights are read from memory, however few tokens there are.
    assert threads_of(LARGE, 1, 2) == 2
    with searching(1e6):
        assert faiss.omp_get_max_threads() == 1
    with searching(1e10):
        assert faiss.omp_get_max_threads() == 2
    assert (torch.get_num_threads(), faiss.omp_get_max_threads()) == (2, 2)


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_what_the_environment_says_is_left_as_it_is(free, monkeypatch, name):
    monkeypatch.setenv(name, "2")
    assert threads_of(10, 1, 1) == 2
    with searching(1):
        assert faiss.omp_get_max_threads() == 2


def test_a_build_keeps_its_one_thread(free):
    with torch_threads(1):
        assert threads_of(LARGE, 4096, 2) == 1
        with torch_threads(2):
            assert threads_of(LARGE, 4096, 4) == 2
        assert threads_of(LARGE, 4096, 2) == 1
    assert threads_of(LARGE, 4096, 2) == 2


def test_a_search_finds_the_same_and_on_one_thread(store, free, monkeypatch):
    retriever, queries = Retriever.open(store), ["who makes blue glass?"] * 3
    seen = []
    forward = Encoder._forward
    monkeypatch.setattr(Encoder, "_forward", lambda *a: seen.append(torch.get_num_threads()) or forward(*a))
    alone = retriever.search(queries, 5)
    assert seen == [1]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert [[h.row for h in r.hits] for r in retriever.search(queries, 5)] == [
        [h.row for h in r.hits] for r in alone
    ]
    assert seen == [1, 2]
    assert np.isfinite([hit.score for hit in alone[0].hits]).all()


@pytest.mark.parametrize("room", ["retriever", "lm"])
def test_waiting_threads_sleep_soon_unless_the_environment_says_how_they_wait(room):
    script = f"import os, {room}; print(os.environ.get('GOMP_SPINCOUNT'))"
    bare = {n: v for n, v in os.environ.items() if n not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    for given, found in (
        ({}, "1000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, "None"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", script], env=bare | given, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == found
