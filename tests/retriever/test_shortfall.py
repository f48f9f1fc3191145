import numpy as np
import pytest

from datastore.conditions import Condition
from datastore.schema import Passage
from datastore.view import View
from retriever.ranking.card import Card, Rung
from retriever.ranking.setting import Setting, SeveralSettings
from retriever.refinement import Decontamination, Refinement
from retriever.request import DENSE, Method, Search
from retriever.results import Hit, Ranking
from retriever.several import SeveralRetriever
from retriever.shortfall import Shortfall, low_recall
from tests.vectors import dense, make_retriever, make_store, random_vectors

BM25 = Method("bm25")
ALL, HALF = View(), View(0.5)
UNMET = View(where=(Condition("year", ">=", "x"), Condition("year", "<", "y")))


def found(count, exhausted=True, missing=()):
    passage = Passage("Blue glass.", "travel", "x", 0, 0)
    return Ranking(tuple(Hit(row, 0.5, passage, 1) for row in range(count)), exhausted, missing)


def opened(root, key):
    store = make_store(root, np.arange(100), random_vectors(0, 100), key)
    return make_retriever(store, random_vectors(1, 1))


@pytest.fixture
def retriever(tmp_path):
    return opened(tmp_path, "IVF4,PQ4x4")


def probing(nprobe, view=ALL, method=DENSE, filtered=False):
    """A search for five that probes so many lists."""
    filters = Refinement(near_duplicates=0.9 if filtered else None)
    return Search(5, view, Setting(nprobe, 50), method, filters)


@pytest.mark.parametrize(
    ("query", "count", "search", "said"),
    [
        ("glass", 2, probing(4), "Only 2: there are no more."),
        ("glass", 2, probing(0), "Only 2: there are no more."),
        ("glass", 2, probing(4, filtered=True), "Only 2: there are no more besides near-duplicates."),
        ("glass", 2, probing(4, HALF), "Only 2: there are no more in this view."),
        ("glass", 2, probing(1, HALF), "more in this view in the list probed (nprobe 4 probes all)."),
        (
            "glass",
            2,
            probing(2, filtered=True),
            "near-duplicates in the 2 lists probed (nprobe 4 probes all).",
        ),
        ("glass", 2, probing(1, ALL, BM25), "Only 2: no other passage holds a word of the query."),
        (
            "glass",
            2,
            probing(1, ALL, BM25, True),
            "passage besides near-duplicates holds a word of the query.",
        ),
        (
            "of the",
            0,
            probing(1, ALL, BM25, True),
            "in the query (stop words and single characters are none).",
        ),
    ],
)
def test_a_shortfall_has_a_reason(retriever, query, count, search, said):
    assert Shortfall(retriever, search).of(query, found(count)).endswith(said)


LATE, SOON = Condition("year", ">=", "2100"), Condition("year", ">=", "2003")
LATE_TITLES = Condition("title", ">=", "2100")


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (View(where=(LATE,)), "No passage is in this view; year is 2001, for example."),
        (View(domains=("c",), where=(LATE,)), "No passage is in this view; year is 2002, for example."),
        (View(0.5, domains=("c",), where=(LATE,)), "No passage is in this view."),
        (UNMET, "No passage is in this view; 'x' is text and year holds numbers, 2001 for example."),
        (
            View(0.5, where=(LATE_TITLES,)),
            "No passage is in this view; 2100 is a number and title holds text, 'title 0' for example.",
        ),
        (View(where=(SOON,)), "Only 0: there are no more in this view."),
    ],
)
def test_why_nothing_is_found_in_a_view(retriever, view, said, monkeypatch):
    assert Shortfall(retriever, probing(4, view)).of("glass", found(0)) == said
    # Of a store too large to look at every passage nobody knows whether one is in the view.
    monkeypatch.setattr("retriever.shortfall._ROWS", 20)
    more = said.replace("No passage is in this view", "Only 0: there are no more in this view")
    assert Shortfall(retriever, probing(4, view)).of("glass", found(0)) == more


def test_what_drops_hits_is_named(retriever):
    both = Search(5, HALF, Setting(4, 50), DENSE, Refinement(0.8, Decontamination()))
    said = Shortfall(retriever, both).of("glass", found(2))
    assert said == "Only 2: there are no more in this view besides near-duplicates and contaminated passages."


def test_what_is_not_short_has_none(retriever):
    shortfall = Shortfall(retriever, dense(5, setting=Setting(4, 50)))
    assert shortfall.of("glass", found(2, exhausted=False)) is None


def test_of_a_lost_searcher_nothing_more_is_known(retriever):
    said = Shortfall(retriever, dense(5, setting=Setting(4, 50))).of("glass", found(0, missing=(0, 2)))
    assert said == "Only 0: the searchers of shards 0, 2 give no answer."


def test_a_graph_is_searched_along_paths(tmp_path):
    said = Shortfall(opened(tmp_path, "HNSW4,SQ8"), dense(5, HALF, Setting(0, 50))).of("glass", found(2))
    assert said == "Only 2: there are no more in this view on the paths through the graph."


def test_of_several_stores_one_that_is_searched_in_part_is_said(retriever, tmp_path):
    several = SeveralRetriever({"a": retriever, "b": opened(tmp_path / "b", "IVF8,PQ4x4")})
    for nprobe, said in (
        (8, "there are no more."),
        (3, "lists probed (a larger nprobe or recall probes more)."),
    ):
        setting = SeveralSettings(8, 50, (Setting(4, 50), Setting(nprobe, 50)))
        assert Shortfall(several, dense(5, setting=setting)).of("glass", found(2)).endswith(said)


@pytest.mark.parametrize(("best", "low"), [(0.95, False), (0.9, True)])
def test_an_index_that_does_not_reach_its_recall_is_said_to(retriever, best, low):
    search = dense(5, setting=Setting(4, 50))
    assert low_recall(retriever, search) is None
    retriever.opened.card = Card("", 100, 10, (Rung(4, 50, best, best, 0, 1.0),))
    said = low_recall(retriever, search)
    assert (said is not None) == low
    assert not low or "reaches the recall 0.95 that it was built for, the best has 0.900:" in said
