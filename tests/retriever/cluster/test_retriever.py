import json
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from base.errors import RalmError, Unavailable
from datastore.conditions import Condition
from datastore.store import Datastore
from datastore.view import View
from retriever.cluster.actors import Searchers
from retriever.cluster.retriever import ClusterRetriever
from retriever.local import LocalRetriever
from retriever.opened import Opening
from retriever.ranking.setting import Setting
from retriever.request import DENSE, Effort, Method, Search
from retriever.several import SeveralRetriever
from tests.conftest import add_to, build_store, compact, delete, flip
from tests.corpus import questions, write_lines
from tests.encoders import bert
from tests.vectors import dense, make_store, random_vectors

VIEWS = [
    View(),
    View(0.3, 1),
    View(0.05, 2),
    View(domains=("travel",), where=(Condition("year", "<", "1500"),)),
    View(where=(Condition("year", ">", "3000"),)),
]
TWO = Searchers(2, cpus=0.1)
TEXTS = [question["question"] for question in questions()][:3]


@pytest.fixture(scope="module", params=["Flat", "IVF4,SQ8", "IVF2,PQ96x4fs"])
def stores(request, tmp_path_factory, corpus):
    root = tmp_path_factory.mktemp("cluster") / "s"
    build_store(root, corpus, split_bytes=4096, passages_per_shard=8, index_key=request.param)
    return root


@pytest.fixture(scope="module")
def pair(stores, ray_cluster):
    """The same store in this process and with two actors."""
    front = ClusterRetriever.open(stores, TWO)
    yield LocalRetriever.open(stores), front
    front.close()


@pytest.mark.parametrize("name", ["dense", "bm25", "hybrid"])
def test_many_searchers_answer_as_one_does(pair, name, monkeypatch):
    """Law 2 through the cluster: the same rows and scores, in every view."""
    local, front = pair
    for setting in (Effort(), Setting(min(2, local.index.nlist), 0), Setting(local.index.nlist, 7)):
        for k in (3, 100):
            mine = local.search_many(TEXTS, VIEWS, Search(k, effort=setting, method=Method(name)))
            assert front.search_many(TEXTS, VIEWS, Search(k, effort=setting, method=Method(name))) == mine
    with monkeypatch.context() as few:
        few.setattr("retriever.opened._TOGETHER", 2)
        assert front.search_many(TEXTS, VIEWS, Search(k, effort=setting, method=Method(name))) == mine


def test_the_front_widens_hits_as_one_process_does(pair):
    local, front = pair
    (ranking,) = front.search(TEXTS[:1], dense(5))
    for hit in ranking.hits:
        assert front.around(hit, 2) == local.around(hit, 2)
        assert hit.passage in front.around(hit, 2)


def test_a_lost_searcher_is_said_and_comes_back(store, ray_cluster, caplog):
    import ray

    front = ClusterRetriever.open(store, replace(TWO, partial=True))
    try:
        whole = front.search(TEXTS, dense(5))
        assert front.silent() == ()
        # Gone for good: what a node that never comes back looks like.
        ray.kill(front.actors.handles[1], no_restart=True)
        some = front.search(TEXTS, dense(5))
        assert {ranking.missing for ranking in some} == {tuple(front.spread.groups[1])}
        bound = front.opened.store.manifest.shards[front.spread.groups[1].start].first_row
        assert all(hit.row < bound for ranking in some for hit in ranking.hits)
        assert front.silent() == tuple(front.spread.groups[1])
        shards = ", ".join(map(str, front.spread.groups[1]))
        assert SeveralRetriever({"a": LocalRetriever.open(store), "b": front}).silent() == tuple(
            len(front.opened.store.manifest.shards) + shard for shard in front.spread.groups[1]
        )
        assert front.search(TEXTS, dense(5)) == some
        said = [record.getMessage() for record in caplog.records if record.name == "retriever.cluster"]
        assert said == [
            f"The searcher of shards {shards} gives no answer; if it has died, Ray starts it again."
        ]
        front.how = TWO
        with pytest.raises(Unavailable, match=r"searchers of shards .* do not answer.* --partial"):
            front.search(TEXTS, dense(5))
        # Killed as an accident kills it: Ray starts it again, and it answers once it has loaded.
        ray.kill(front.actors.handles[0], no_restart=False)
        front.how, deadline = replace(TWO, partial=True), time.monotonic() + 100
        while front.search(TEXTS, dense(5)) != some:
            assert time.monotonic() < deadline
        assert whole != some
        shards = ", ".join(map(str, front.spread.groups[0]))
        assert f"The searcher of shards {shards} answers again." in caplog.text
    finally:
        front.close()


@pytest.mark.long
def test_a_process_and_a_node_are_lost_under_load(store):
    """On Ray's own cluster of several nodes: every answer is whole, or says what is missing and is right."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.nodes", str(store)], check=True, capture_output=True, text=True
    )
    report = json.loads(ran.stdout.splitlines()[-1])
    print(report)
    assert report["errors"] == []
    assert report["whole"]
    assert report["one answer each"]
    first, second = report["groups"]
    assert report["missing"] == sorted([[], first, second])


def test_a_cluster_has_a_searcher():
    with pytest.raises(RalmError, match="at least one searcher, not 0"):
        Searchers(0)


def test_a_graph_cannot_be_searched_in_parts(tmp_path, ray_cluster):
    make_store(tmp_path, np.arange(40), random_vectors(0, 40), "HNSW8,SQ8")
    with pytest.raises(RalmError, match="is one file and cannot be searched in parts"):
        ClusterRetriever.open(tmp_path, TWO)


def test_an_unknown_column_is_refused_by_the_front(pair):
    _, front = pair
    with pytest.raises(RalmError, match="metadata column 'age'"):
        front.search(["x"], dense(1, View(where=(Condition("age", ">", "1"),))))


def test_a_new_generation_is_taken_up_by_the_same_searchers(own_store, tmp_path, ray_cluster):
    import ray

    front = ClusterRetriever.open(own_store, TWO)
    try:
        assert front.refreshed() is front
        before = front.search(TEXTS, dense(5))
        delete(own_store, before[0].hits[0].passage.doc_id)
        second = front.refreshed()
        record = {"id": "new", "domain": "travel", "text": TEXTS[0]}
        add_to(own_store, write_lines(tmp_path / "more.jsonl", [record]))
        third = second.refreshed()
        assert third.actors is front.actors
        assert second.search(TEXTS, dense(5))[0].hits[:4] == before[0].hits[1:]
        assert third.search(TEXTS, dense(5)) == LocalRetriever.open(own_store).search(TEXTS, dense(5))
        assert third.search(TEXTS, Search(5)) == LocalRetriever.open(own_store).search(TEXTS, Search(5))
        # Who began with the first generation ends with it; a restarted searcher opens what it is asked for.
        assert front.search(TEXTS, dense(5)) == before
        ray.kill(third.actors.handles[0], no_restart=False)
        deadline = time.monotonic() + 100
        while True:
            try:
                assert third.search(TEXTS, dense(5))[0].hits[0].passage.doc_id == "new"
                break
            except RalmError:
                assert time.monotonic() < deadline
    finally:
        front.close()


@pytest.mark.parametrize("folder", ["deleted", "manifests"])
def test_searchers_hide_what_a_generation_takes_down_that_cannot_be_opened(own_store, ray_cluster, folder):
    front = ClusterRetriever.open(own_store, TWO)
    try:
        before = front.search(TEXTS, dense(5))
        delete(own_store, before[0].hits[0].passage.doc_id)
        after = LocalRetriever.open(own_store)
        for path in (own_store / folder).glob("*00002.*"):
            flip(path, -1)
        with pytest.raises(RalmError, match=r"is corrupted|is missing or damaged"):
            front.refreshed()
        found = front.hiding()
        assert found.hiding() is found
        for method in (DENSE, Method()):
            for mine, other in zip(
                found.search(TEXTS, Search(60, method=method)),
                after.search(TEXTS, Search(60, method=method)),
                strict=True,
            ):
                assert [(h.row, h.score) for h in mine.hits] == [(h.row, h.score) for h in other.hits]
        assert front.search(TEXTS, dense(5)) == before
    finally:
        front.close()


def test_a_store_that_is_empty_is_searched_too(own_store, ray_cluster):
    delete(own_store, *{p.doc_id for p in Datastore.open(own_store)})
    compact(own_store)
    front = ClusterRetriever.open(own_store, TWO)
    assert all(r.exhausted and not r.hits for r in front.search(TEXTS, Search(3)))
    front.close()


def test_a_cluster_asks_with_the_tower_for_queries(tmp_path, corpus, ray_cluster):
    towers = {
        "encoder": str(bert(tmp_path / "passages", 1)),
        "query_encoder": str(bert(tmp_path / "queries", 2)),
    }
    settings = {"pooling": "cls", "similarity": "dot", "passages_per_shard": 8}
    build_store(tmp_path / "s", corpus, **towers, **settings)
    front = ClusterRetriever.open(tmp_path / "s", TWO)
    try:
        local = LocalRetriever.open(tmp_path / "s")
        assert front.opened.encoder.checkpoint.name == towers["query_encoder"]
        assert front.search(TEXTS, dense(5)) == local.search(TEXTS, dense(5))
        delete(tmp_path / "s", local.search(TEXTS, dense(1))[0].hits[0].passage.doc_id)
        after, mine = front.refreshed(), local.refreshed()
        assert after.opened.encoder is front.opened.encoder
        assert mine.encoder is local.encoder
        assert after.search(TEXTS, dense(5)) == mine.search(TEXTS, dense(5))
    finally:
        front.close()
    moved = (tmp_path / "queries").rename(tmp_path / "moved")
    elsewhere = ClusterRetriever.open(
        tmp_path / "s", Searchers(1, cpus=0.1), Opening(query_encoder=str(moved))
    )
    try:
        assert elsewhere.search(TEXTS, dense(5)) == mine.search(TEXTS, dense(5))
    finally:
        elsewhere.close()
