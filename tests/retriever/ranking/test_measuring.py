import numpy as np
import pytest

from retriever.index.loading import in_memory
from retriever.ranking.measuring import exact, measure, probes
from retriever.ranking.setting import Setting
from tests.vectors import dense, make_retriever, make_store, random_vectors


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path, np.arange(600), random_vectors(0, 600), "IVF4,PQ4x4", per_shard=100)


def test_a_card_holds_what_a_search_then_finds(store):
    queries = random_vectors(1, 40).astype(np.float32)
    index = in_memory(store.layout.root, store.manifest)
    card = measure(store, index, queries)
    assert {(r.nprobe, r.depth) for r in card.rungs} == {
        (n, d) for n in (1, 2, 4) for d in (0, 20, 50, 100, 200, 400)
    }
    truth = exact(queries, store.shard_vectors(), 10)
    retriever = make_retriever(store, queries, index, card)
    for rung in card.rungs:
        setting = Setting(rung.nprobe, rung.depth)
        rankings = retriever.search([str(n) for n in range(40)], dense(10, setting=setting))
        found = [[hit.row for hit in ranking.hits] for ranking in rankings]
        recall = np.mean([len({*a} & {*b}) / 10 for a, b in zip(found, truth, strict=True)])
        assert recall == pytest.approx(rung.recall_10, abs=0.02)  # Ties with the last candidate count too.
        assert bool(rung.bytes_read) == bool(rung.depth)
        assert rung.milliseconds > 0
    assert max(r.recall_10 for r in card.rungs) == 1.0


def test_of_passages_with_one_text_any_will_do(tmp_path):
    # Each vector stands in the store three times: an exact search for the first ten may name any of them.
    vectors = np.repeat(random_vectors(0, 70), 3, axis=0)
    store = make_store(tmp_path, np.arange(210), vectors, "IVF1,PQ4x4", per_shard=50)
    queries = random_vectors(1, 30).astype(np.float32)
    card = measure(store, in_memory(store.layout.root, store.manifest), queries)
    (whole,) = (rung for rung in card.rungs if rung.depth == 200)
    assert (whole.recall_10, whole.recall_100) == (1.0, 1.0)
    (first,) = (rung for rung in card.rungs if rung.depth == 20)
    assert first.recall_10 < 1


def test_exact_search_is_over_all_shards(store):
    queries = random_vectors(2, 9).astype(np.float32)
    every = np.concatenate(list(store.shard_vectors())).astype(np.float32)
    assert (exact(queries, store.shard_vectors(), 7) == np.argsort(-(queries @ every.T), axis=1)[:, :7]).all()


def test_every_power_of_two_of_lists_is_probed():
    assert list(probes(8)) == [1, 2, 4, 8]
    assert list(probes(10)) == [1, 2, 4, 8]
    assert list(probes(0)) == [0]
