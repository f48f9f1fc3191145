import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

from base.errors import RalmError
from datastore.conditions import AnyOf, Condition
from datastore.takedown import Takedown, Takedowns, take_down
from datastore.view import View
from retriever.encoding.checkpoint import Checkpoint
from retriever.local import LocalRetriever
from retriever.opened import Opening
from retriever.ranking.setting import Setting
from retriever.request import DENSE, Effort, Search
from tests.conftest import add_to, build_store, delete
from tests.corpus import questions, write_lines
from tests.vectors import Drawn, chosen, dense, make_retriever, make_store, passage, random_vectors

KEYS = [
    "Flat",
    "IVF4,SQfp16",
    "IVF4,SQ8",
    "IVF4,PQ4x4",
    "IVF4,PQ8x4fs",
    "IVF4,RaBitQ",
    "OPQ4_8,IVF4,PQ4x4fs",
    "MRL6,IVF4,SQ8",
]
views = st.builds(
    View,
    fraction=st.one_of(st.just(1.0), st.floats(0.02, 1.0)),
    seed=st.integers(0, 5),
    domains=st.sampled_from([(), ("a",), ("b", "c")]),
    where=st.sampled_from(
        [
            (),
            (Condition("year", ">=", "2004"),),
            (Condition("licence", "=", "CC0"), Condition("year", "<", "2003")),
            (AnyOf((Condition("title", "!=", ""), Condition("year", "=", "2001"))),),
        ]
    ),
)

SETTINGS = st.builds(Setting, nprobe=st.integers(1, 4), depth=st.sampled_from([0, 3, 20]))


@settings(max_examples=60)
@given(
    drawn=st.builds(Drawn, st.integers(0, 10**6), st.integers(12, 90), st.sampled_from([None, 3, 20])),
    several=st.lists(views, min_size=1, max_size=3),
    search=st.builds(dense, st.integers(1, 12), setting=SETTINGS),
    key=st.sampled_from(KEYS),
)
def test_a_view_equals_a_build(tmp_path_factory, drawn, several, search, key):
    """Law 2: searching a view is searching a store built from its passages, same quantizer."""
    vectors, queries = drawn.vectors, drawn.queries(5)
    root, names = tmp_path_factory.mktemp("view"), [str(q) for q in range(5)]
    whole = make_retriever(make_store(root / "whole", np.arange(drawn.count), vectors, key), queries)
    together = whole.search_many(names, several, search)
    for number, (view, rankings) in enumerate(zip(several, together, strict=True)):
        kept = np.flatnonzero(whole.store.mask(view))
        if not len(kept):
            assert all(r.exhausted and not r.hits for r in rankings)
            continue
        part = make_retriever(make_store(root / f"part{number}", kept, vectors, key), queries)
        for mine, built in zip(rankings, part.search(names, search), strict=True):
            assert [(h.score, h.passage) for h in mine.hits] == [(h.score, h.passage) for h in built.hits]
            assert mine.exhausted == built.exhausted == (len(mine.hits) < search.k)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    gone=st.lists(st.sets(st.integers(0, 59), min_size=1), min_size=1, max_size=3),
    search=st.builds(dense, st.integers(1, 12), views, SETTINGS),
    key=st.sampled_from(KEYS),
)
def test_a_store_after_takedowns_equals_a_build_without_them(tmp_path_factory, seed, gone, search, key):
    drawn, view = Drawn(seed, 60, 20), search.view
    vectors, queries = drawn.vectors, drawn.queries(3)
    root, names = tmp_path_factory.mktemp("gone"), ["0", "1", "2"]
    open_before = make_retriever(make_store(root / "whole", np.arange(60), vectors, key), queries)
    for numbers in gone:
        passages = [passage(n) for n in numbers]
        down = Takedowns(frozenset(Takedown(p.domain, p.doc_id) for p in passages))
        take_down(open_before.store.layout, down)
    after = open_before.refreshed()
    assert after.index is open_before.index
    assume(set(view.domains) <= set(after.store.manifest.domains))
    assume(set(view.columns) <= set(after.store.manifest.columns))
    kept = np.flatnonzero(after.store.mask(view))
    found = after.search(names, search)
    assert all(ranking.exhausted and not ranking.hits for ranking in found) or len(kept)
    if len(kept):
        part = make_retriever(make_store(root / "part", kept, vectors, key), queries)
        of_all = dense(search.k, setting=search.effort)
        for mine, built in zip(found, part.search(names, of_all), strict=True):
            assert [(h.score, h.passage) for h in mine.hits] == [(h.score, h.passage) for h in built.hits]


def test_a_new_generation_is_taken_up_and_the_old_one_goes_on(own_store, tmp_path):
    before = LocalRetriever.open(own_store)
    assert before.refreshed() is before
    asked = "which town makes blue glass?"
    (ranking,) = before.search([asked], dense(1))
    delete(own_store, ranking.hits[0].passage.doc_id)
    record = {
        "id": "new",
        "domain": "travel",
        "text": "Blue glass is made in the town of Dunmarrow, and sold.",
    }
    add_to(own_store, write_lines(tmp_path / "more.jsonl", [record]))
    after = before.refreshed()
    assert after.store.manifest.generation == 3
    assert after.encoder is before.encoder
    assert after.search([asked], dense(1))[0].hits[0].passage.doc_id == "new"
    assert before.search([asked], dense(1)) == [ranking]


def test_a_takedown_is_taken_up_though_a_card_or_what_no_search_reads_is_damaged(tmp_path, corpus):
    root = tmp_path / "s"
    build_store(root, corpus, index_key="IVF4,SQ8", passages_per_shard=8)
    before = LocalRetriever.open(root)
    assert before.opened.card is not None
    (hit,) = before.search(["which town makes blue glass?"], dense(1))[0].hits
    next(root.glob("documents/*.npy")).unlink()
    before.store.layout.card("IVF4,SQ8", 0).write_text("{")
    delete(root, hit.passage.doc_id)
    after = before.refreshed()
    assert after.store.manifest.generation == 2
    assert after.opened.card is None
    assert hit.row not in {
        one.row for one in after.search(["which town makes blue glass?"], dense(5))[0].hits
    }


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    search=st.builds(dense, st.integers(1, 12), views, st.just(Setting(2, 5))),
    reach=st.integers(1, 80),
    key=st.sampled_from(KEYS),
)
def test_how_deep_the_first_search_goes_changes_nothing(tmp_path_factory, seed, search, reach, key):
    """Deepening, and a view as a selector inside the search, find what a deep search finds."""
    vectors = random_vectors(seed, 80, distinct=30)
    queries = np.random.default_rng(seed).standard_normal((3, vectors.shape[1])).astype(np.float32)
    store = make_store(tmp_path_factory.mktemp("depth"), np.arange(80), vectors, key)
    retriever, names = make_retriever(store, queries), ["0", "1", "2"]
    views = [search.view]
    deep = retriever.search_many(names, views, replace(search, reach=80))
    assert retriever.search_many(names, views, replace(search, reach=reach)) == deep
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("retriever.ranking.propose._SELECTED_BEYOND", 0)
        assert retriever.search_many(names, views, search) == deep


def test_a_view_of_one_passage_finds_it(tmp_path):
    vectors = random_vectors(0, 500)
    store = make_store(tmp_path, np.arange(500), vectors, "IVF4,SQ8", per_shard=100)
    retriever = make_retriever(store, vectors[:3].astype(np.float32))
    view = View(domains=("b",), where=(Condition("title", "=", "title 10"),))
    for ranking in retriever.search(["0", "1", "2"], dense(5, view, Setting(4, 10))):
        assert [hit.passage.doc_id for hit in ranking.hits] == ["doc10"]
        assert ranking.exhausted


def test_an_empty_view_finds_nothing_and_says_so(tmp_path):
    store = make_store(tmp_path, np.arange(50), random_vectors(0, 50))
    retriever = make_retriever(store, np.ones((1, 8), np.float32))
    (ranking,) = retriever.search(["0"], dense(3, View(where=(Condition("year", ">", "3000"),))))
    assert not ranking.hits
    assert ranking.exhausted


@pytest.mark.parametrize(
    ("view", "message"),
    [
        (View(where=(Condition("yaer", ">", "1"),)), "column 'yaer': there are 'licence', 'title', 'year'"),
        (View(domains=("z",)), "domain 'z': there are 'a', 'b', 'c'"),
    ],
)
def test_a_view_on_what_does_not_exist_lists_what_does(tmp_path, view, message):
    store = make_store(tmp_path, np.arange(50), random_vectors(0, 50))
    with pytest.raises(RalmError, match=message):
        make_retriever(store, np.ones((1, 8), np.float32)).search(["0"], dense(3, view))


def test_rescoring_ranks_by_the_stored_vectors(tmp_path):
    vectors = random_vectors(3, 400)
    store = make_store(tmp_path, np.arange(400), vectors, "IVF4,PQ4x4", per_shard=64)
    queries = np.random.default_rng(4).standard_normal((20, 8)).astype(np.float32)
    retriever, names = make_retriever(store, queries), [str(n) for n in range(20)]
    exact = np.argsort(-(queries @ vectors.astype(np.float32).T), axis=1)[:, :10]

    def recall(setting):
        found = [[h.row for h in r.hits] for r in retriever.search(names, dense(10, setting=setting))]
        return np.mean([len({*a} & {*b}) / 10 for a, b in zip(found, exact, strict=True)])

    assert recall(Setting(4, 400)) == 1.0
    assert recall(Setting(4, 50)) > recall(Setting(4, 0))
    hits = retriever.search(["0"], dense(10, setting=Setting(4, 400)))[0].hits
    assert [h.score for h in hits] == pytest.approx(
        [float(queries[0] @ vectors[h.row].astype(np.float32)) for h in hits], abs=1e-5
    )


@pytest.mark.parametrize(
    ("effort", "message"),
    [
        (Effort(nprobe=5), "between 1 and the 4 lists"),
        (Effort(nprobe=0), "between 1 and the 4 lists"),
        (Effort(recall=0.9), "no index card"),
    ],
)
def test_a_setting_the_index_cannot_take_is_refused(tmp_path, effort, message):
    store = make_store(tmp_path, np.arange(50), random_vectors(0, 50), "IVF4,SQ8")
    retriever, search = make_retriever(store, np.ones((1, 8), np.float32)), Search(3, effort=effort)
    for refused in (retriever.settled, lambda search: retriever.search(["0"], search)):
        with pytest.raises(RalmError, match=message):
            refused(search)


def test_lists_of_an_index_without_any_are_refused(tmp_path):
    store = make_store(tmp_path, np.arange(50), random_vectors(0, 50))
    with pytest.raises(RalmError, match="has no lists to probe"):
        chosen(make_retriever(store, np.ones((1, 8), np.float32)), 3, nprobe=2)


@pytest.mark.parametrize(("queries", "which"), [([""], "The query"), (["0", " \n\t"], "Query 2")])
def test_a_query_without_text_is_refused(tmp_path, queries, which):
    store = make_store(tmp_path, np.arange(50), random_vectors(0, 50))
    with pytest.raises(RalmError, match=f"^{which} is empty: give"):
        make_retriever(store, np.ones((1, 8), np.float32)).search(queries, dense(3))


@pytest.mark.parametrize("number", [np.nan, -np.inf, 1e30])
def test_a_query_without_numbers_is_refused(tmp_path, number):
    store = make_store(tmp_path, np.arange(50), random_vectors(0, 50))
    with pytest.raises(RalmError, match="NaN or infinity"):
        make_retriever(store, np.full((1, 8), number, np.float32)).search(["0"], dense(3))


@pytest.mark.parametrize("depth", [0, 20])
def test_many_queries_are_answered_as_few_at_a_time(tmp_path, monkeypatch, depth):
    store = make_store(tmp_path, np.arange(50), random_vectors(0, 50), "IVF4,SQ8")
    retriever = make_retriever(store, random_vectors(1, 7).astype(np.float32))
    asked = [str(n) for n in range(7)], [View(), View(0.3, 1)], dense(5, setting=Setting(2, depth))
    together = retriever.search_many(*asked)
    monkeypatch.setattr("retriever.opened._TOGETHER", 3)
    assert retriever.search_many(*asked) == together


def test_one_search_answers_for_all_views(store):
    retriever = LocalRetriever.open(store)
    views = [View(0.05, 1), View(0.3, 1), View(0.3, 2), View()]
    texts = [q["question"] for q in questions()]
    together = retriever.search_many(texts, views, Search(5, method=DENSE, reach=6))
    for view, rankings in zip(views, together, strict=True):
        assert rankings == retriever.search(texts, dense(5, view))


def test_an_exhaustive_float32_search_finds_the_same(store):
    """The whole path against sentence-transformers, float32 and numpy: gold document in the first 10."""
    retriever = LocalRetriever.open(store)
    passages = list(retriever.store)
    peer = SentenceTransformer(str(Checkpoint.find("all-MiniLM-L6-v2").folder), device="cpu")
    asked = questions()
    exact = (
        peer.encode_query([q["question"] for q in asked]) @ peer.encode_document([p.text for p in passages]).T
    )
    hits = retriever.search([q["question"] for q in asked], dense(10))
    ours = [any(h.passage.doc_id in q["gold_docs"] for h in r.hits) for q, r in zip(asked, hits, strict=True)]
    best = np.argsort(-exact, axis=1)[:, :10]
    theirs = [
        any(passages[row].doc_id in q["gold_docs"] for row in rows)
        for q, rows in zip(asked, best, strict=True)
    ]
    assert sum(ours) >= sum(theirs)
    assert sum(ours) >= 7


def test_hits_come_best_first_with_their_passages(store):
    (ranking,) = LocalRetriever.open(store).search(["Who makes blue glass?"], dense(4))
    scores = [hit.score for hit in ranking.hits]
    assert scores == sorted(scores, reverse=True)
    assert ranking.hits[0].passage.doc_id.startswith("Dunmarrow")
    assert not ranking.exhausted


def test_more_than_there_is_is_said_to_be_all(store):
    retriever = LocalRetriever.open(store)
    (ranking,) = retriever.search(["town"], dense(10_000))
    assert len(ranking.hits) == retriever.store.rows
    assert ranking.exhausted


def test_another_encoder_than_the_stores_is_refused(store, tmp_path):
    folder = tmp_path / "other"
    shutil.copytree(Checkpoint.find("all-MiniLM-L6-v2").folder, folder)
    same = LocalRetriever.open(store, Opening(encoder=str(folder)))
    assert same.search(["blue glass"], dense(1)) == LocalRetriever.open(store).search(
        ["blue glass"], dense(1)
    )
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(RalmError, match=r"was built with the encoder all-MiniLM-L6-v2, not .*other"):
        LocalRetriever.open(store, Opening(encoder=str(folder)))
