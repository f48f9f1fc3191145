import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.errors import RalmError
from datastore.conditions import AnyOf, Condition
from datastore.view import View
from retriever.cluster.actors import Searchers
from retriever.cluster.retriever import ClusterRetriever
from retriever.local import LocalRetriever
from retriever.ranking.setting import Setting
from retriever.refinement import Refinement
from retriever.request import DENSE, Method, Search
from retriever.several import SeveralRetriever
from tests.conftest import build_store, compact, delete
from tests.corpus import documents, questions, write_lines
from tests.vectors import Drawn, chosen, dense, make_retriever, make_store, random_vectors

DOCUMENTS = documents()
TEXTS = [question["question"] for question in questions()][:4]


@settings(max_examples=30, deadline=None)
@given(
    drawn=st.builds(Drawn, st.integers(0, 10**6), st.just(60), st.sampled_from([None, 5])),
    cut=st.integers(1, 59),
    k=st.integers(1, 15),
    view=st.sampled_from(
        [View(), View(0.3, 1), View(domains=("b",)), View(where=(Condition("year", ">", "2003"),))]
    ),
)
def test_two_stores_searched_exactly_are_one(tmp_path_factory, drawn, cut, k, view):
    vectors, queries = drawn.vectors, drawn.queries(3)
    root, names = tmp_path_factory.mktemp("several"), ["0", "1", "2"]
    parts = {
        "first": make_retriever(make_store(root / "a", np.arange(cut), vectors), queries),
        "second": make_retriever(make_store(root / "b", np.arange(cut, 60), vectors), queries),
    }
    whole = make_retriever(make_store(root / "whole", np.arange(60), vectors), queries)
    several = SeveralRetriever(parts)
    assert several.rows == 60
    found = several.search_many(names, [view, View()], dense(k))
    for mine, one in zip(found, whole.search_many(names, [view, View()], dense(k)), strict=True):
        for ours, expected in zip(mine, one, strict=True):
            assert [(h.score, h.passage) for h in ours.hits] == [(h.score, h.passage) for h in expected.hits]
            assert ours.exhausted == expected.exhausted
            rows = [h.row + cut * (h.store == "second") for h in ours.hits]
            assert rows == [h.row for h in expected.hits]


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Two stores of half the corpus each, of different index families, and one of all."""
    folder = tmp_path_factory.mktemp("several")
    first = write_lines(folder / "first.jsonl", DOCUMENTS[:22])
    second = write_lines(folder / "second.jsonl", DOCUMENTS[22:])
    build_store(folder / "a", first, passages_per_shard=8)
    build_store(folder / "b", second, passages_per_shard=8, index_key="IVF2,SQ8")
    build_store(folder / "whole", first, second, passages_per_shard=8)
    return folder


def keys(rankings):
    return [[hit.passage.key for hit in ranking.hits] for ranking in rankings]


@pytest.mark.parametrize("name", ["dense", "bm25", "hybrid"])
def test_stores_of_different_indexes_are_searched_together(roots, name):
    several = SeveralRetriever({n: LocalRetriever.open(roots / n) for n in ("a", "b")})
    whole = LocalRetriever.open(roots / "whole")
    setting = chosen(several, 5, nprobe=2, depth=30)
    assert [(s.nprobe, s.depth) for s in setting.each] == [(0, 30), (2, 30)]
    mine = several.search(TEXTS, Search(5, effort=setting, method=Method(name)))
    one = whole.search(TEXTS, Search(5, method=Method(name)))
    # BM25 differs by the stores' own mean lengths, and with it what is fused.
    assert [set(a) for a in keys(mine)] == [set(b) for b in keys(one)] or name != "dense"
    assert [a[0] for a in keys(mine)] == [b[0] for b in keys(one)]
    assert len({id(one.encoder) for one in several.stores.values()}) == 1 or name == "bm25"
    refinement = Refinement(near_duplicates=0.5, diversity=0.2, pool=10)
    refined = several.search(TEXTS, Search(5, method=Method(name), refinement=refinement))
    assert {hit.store for ranking in refined for hit in ranking.hits} == {"a", "b"}


def test_a_view_on_what_only_one_store_has_finds_it_there(roots, tmp_path):
    own = {"id": "x", "domain": "own", "text": "a text in a domain of its own", "shelf": 3}
    build_store(tmp_path / "c", write_lines(tmp_path / "own.jsonl", [own]))
    several = SeveralRetriever(
        {"a": LocalRetriever.open(roots / "a"), "c": LocalRetriever.open(tmp_path / "c")}
    )
    assert several.left_out(View()) == ()
    for view in (View(domains=("own",)), View(where=(Condition("shelf", "=", "3"),))):
        assert several.left_out(view) == ("a",)
        for method in (DENSE, Method()):
            (ranking,) = several.search(["a text"], Search(3, view=view, method=method))
            assert [(h.store, h.passage.doc_id) for h in ranking.hits] == [("c", "x")]
            assert ranking.exhausted
    either = View(where=(AnyOf((Condition("shelf", "=", "3"), Condition("year", "<", "1300"))),))
    assert several.left_out(either) == ()
    (ranking,) = several.search(["a text"], dense(1000, either))
    found = {(hit.store, hit.passage.metadata.get("year")) for hit in ranking.hits}
    assert found == {("a", 1288), ("c", None)}
    both = View(domains=("own", "history"))  # Either will do: each store is searched for those it has.
    assert several.left_out(both) == ()
    for method in (DENSE, Method()):
        (ranking,) = several.search(["a text"], Search(1000, view=both, method=method))
        assert {hit.passage.domain for hit in ranking.hits} == {"own", "history"}
    with pytest.raises(RalmError, match=r"has the domain 'none': there are 'history', 'own', "):
        several.search(["a text"], dense(3, View(domains=("none",))))
    with pytest.raises(RalmError, match=r"No one of these stores has such a domain .*: 'history', 'shelf'\."):
        several.search(
            ["a text"], dense(3, View(domains=("history",), where=(Condition("shelf", "=", "3"),)))
        )


def test_some_of_several_stores_are_searched_as_they_are_among_all(roots):
    members = {name: LocalRetriever.open(roots / name) for name in ("a", "b", "whole")}
    several = SeveralRetriever(members).loaded()
    pair = several.only(["b", "a"])
    assert list(pair.stores) == ["a", "b"]
    assert several.only(["a", "b"]) is pair  # Whoever keeps what it found finds it again.
    assert several.only(["whole", "b", "a"]) is several
    alone = several.only(["b"])
    (ranking,), (expected,) = (one.search(TEXTS[:1], dense(4)) for one in (alone, members["b"]))
    assert [(h.store, h.row) for h in ranking.hits] == [("b", h.row) for h in expected.hits]
    assert members["a"].only([""]) is members["a"]
    with pytest.raises(KeyError):
        several.only(["none"])


def test_clusters_and_new_generations_of_each_are_searched_too(roots, own_store, ray_cluster):
    front = ClusterRetriever.open(own_store, Searchers(2, cpus=0.1))
    try:
        several = SeveralRetriever({"a": LocalRetriever.open(roots / "a"), "own": front})
        local = SeveralRetriever(
            {"a": LocalRetriever.open(roots / "a"), "own": LocalRetriever.open(own_store)}
        )
        assert several.hash == local.hash
        for method in (DENSE, Method()):
            assert several.search(TEXTS, Search(9, method=method)) == local.search(
                TEXTS, Search(9, method=method)
            )
        assert several.refreshed() is several
        delete(own_store, DOCUMENTS[0]["id"])
        after = several.refreshed()
        found = {(h.store, h.passage.doc_id) for r in after.search(TEXTS, dense(60)) for h in r.hits}
        assert ("a", DOCUMENTS[0]["id"]) in found
        assert ("own", DOCUMENTS[0]["id"]) not in found
    finally:
        front.close()


def test_a_store_of_which_nothing_is_left_stands_in_nobodys_way(roots, own_store):
    delete(own_store, *{d["id"] for d in DOCUMENTS})
    compact(own_store)
    members = {"a": LocalRetriever.open(roots / "a"), "emptied": LocalRetriever.open(own_store)}
    several = SeveralRetriever(members)
    for method in (DENSE, Method()):
        assert {h.store for h in several.search(TEXTS, Search(5, method=method))[0].hits} == {"a"}


def test_stores_of_different_encoders_are_refused(tmp_path):
    stores = [make_store(tmp_path / n, np.arange(9), random_vectors(0, 9)) for n in "ab"]
    members = {str(n): make_retriever(store, np.ones((1, 8), np.float32)) for n, store in enumerate(stores)}
    other = stores[1].manifest.encoder.model_copy(update={"weights_sha256": "1"})
    stores[1].manifest = stores[1].manifest.model_copy(update={"encoder": other})
    with pytest.raises(RalmError, match="1 was built with the encoder given"):
        SeveralRetriever(members)
    with pytest.raises(RalmError, match="None of these stores' indexes has lists"):
        chosen(SeveralRetriever({"0": members["0"], "again": members["0"]}), 3, nprobe=2)
    assert chosen(SeveralRetriever({"0": members["0"]}), 3, depth=7).depth == 7
    assert isinstance(chosen(members["0"], 3), Setting)
