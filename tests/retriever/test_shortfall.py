import numpy as np
import pytest

from datastore.schema import Passage
from datastore.view import Condition, View
from retriever.card import Card, Rung
from retriever.index import Setting
from retriever.loading import in_memory
from retriever.ranking import DENSE, Hit, Method, Ranking
from retriever.search import Retriever
from retriever.shortfall import low_recall, shortfall
from tests.given import GivenVectors, make_store, random_vectors

BM25 = Method("bm25")


def found(count, exhausted=True, missing=()):
    passage = Passage("Blue glass.", "travel", "x", 0, 0)
    return Ranking(tuple(Hit(row, 0.5, passage, 1) for row in range(count)), exhausted, missing)


@pytest.fixture
def retriever(tmp_path):
    store = make_store(tmp_path, np.arange(100), random_vectors(0, 100), "IVF4,PQ4x4")
    return Retriever(store, GivenVectors(random_vectors(1, 1)), in_memory(tmp_path, store.manifest))


@pytest.mark.parametrize(
    ("query", "count", "view", "nprobe", "method", "filtered", "said"),
    [
        ("glass", 2, View(), 4, DENSE, False, "Only 2: there are no more."),
        ("glass", 2, View(), 4, DENSE, True, "Only 2: there are no more that the filters keep."),
        ("glass", 2, View(0.5), 4, DENSE, False, "Only 2: there are no more in this view."),
        ("glass", 2, View(0.5), 1, DENSE, False, "in this view in the list probed (nprobe 4 probes all)."),
        ("glass", 2, View(), 2, DENSE, False, "Only 2: there are no more in the 2 lists probed (nprobe 4 "),
        ("glass", 2, View(), 1, BM25, False, "Only 2: no other passage holds a word of the query."),
        ("of the and", 0, View(), 1, BM25, False, "Only 0: BM25 finds no word in the query (stop words "),
        (
            *("glass", 0, View(where=(Condition("year", ">=", "x"),)), 4, DENSE, False),
            "view; year is 2001, for example.",
        ),
    ],
)
def test_a_shortfall_has_a_reason(retriever, query, count, view, nprobe, method, filtered, said):
    assert said in shortfall(retriever, query, found(count), view, nprobe, method, filtered)


def test_what_is_not_short_has_none(retriever):
    assert shortfall(retriever, "glass", found(2, exhausted=False), View(), 4, DENSE, False) is None


def test_of_a_lost_searcher_nothing_more_is_known(retriever):
    said = shortfall(retriever, "glass", found(0, missing=(0, 2)), View(), 4, DENSE, False)
    assert said == "Only 0: the searchers of shards 0, 2 give no answer."


@pytest.mark.parametrize(("best", "low"), [(0.95, False), (0.9, True)])
def test_an_index_that_does_not_reach_its_recall_is_said_to(retriever, best, low):
    setting = Setting(4, 50)
    assert low_recall(retriever, setting, 5) is None
    retriever.card = Card("", 100, 10, (Rung(4, 50, best, best, 0, 1.0),))
    said = low_recall(retriever, setting, 5)
    assert (said is not None) == low
    assert not low or "reaches the recall 0.95 that it was built for, the best has 0.900:" in said
