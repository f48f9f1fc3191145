import numpy as np
import pytest

from base.errors import RalmError
from datastore.view import View
from retriever.local import LocalRetriever
from retriever.opened import Wanted
from retriever.ranking.candidates import Ranked
from retriever.ranking.setting import Setting
from retriever.request import DENSE, Method, Search
from retriever.results import Hit, Ranking, Seconds
from retriever.searching import Searching
from tests.conftest import build_store
from tests.corpus import write_lines
from tests.vectors import dense, make_retriever, make_store, passage, random_vectors


def test_each_stage_is_timed(store):
    seconds = Seconds()
    retriever = LocalRetriever.open(store)
    retriever.search_many(["blue glass"], [View()], dense(3), seconds=seconds)
    assert list(seconds.stages) == ["encode", "propose", "rescore", "passages"]


def test_no_query_no_answer(store):
    retriever = LocalRetriever.open(store)
    assert retriever.search([], dense(3)) == []
    assert retriever.search_many(["x"], [], dense(3)) == []


@pytest.mark.parametrize("method", ["dense", "bm25", "hybrid"])
def test_what_is_answerable_is_what_a_search_does_not_refuse(tmp_path, corpus, method):
    """Also of what words alone find: a Thai text that is one word to BM25, and one that stands nowhere."""
    thai = write_lines(tmp_path / "thai.jsonl", [{"id": "t", "text": "สะพานหินเก่า สร้างโดยช่างหิน"}])
    build_store(tmp_path / "s", corpus, thai)
    retriever = LocalRetriever.open(tmp_path / "s")
    queries = ["สะพานหินเก่า", "where is Arvenholm?", "ไม่มีที่ใด", "?", "พ่อ Arvenholm"]
    views = [View(), View(domains=("history",))]

    def accepted(query):
        try:
            retriever.search_many([query], views, Search(3, method=Method(method)))
        except RalmError:
            return False
        return True

    found = retriever.answerable(queries, views, Search(3, method=Method(method))).tolist()
    assert found == [accepted(query) for query in queries]
    assert (
        found
        == {
            "dense": [False, True, False, True, True],
            "bm25": [True] * 5,
            "hybrid": [True, True, False, True, True],
        }[method]
    )
    some = [query for query, one in zip(queries, found, strict=True) if one]
    assert len(retriever.search_many(some, views, Search(3, method=Method(method)))[1]) == len(some)
    if method != "bm25":
        with pytest.raises(RalmError, match="nothing that the encoder"):
            retriever.answerable(["ไม่มีที่ใด"], views, Search(3, method=Method(method)))


class Losing:
    """A session that gives an answer of two rows, and loses shard 1 with row 7 as passages are asked for."""

    def __init__(self, encoder):
        self.encoder, self.lexical, self.missing, self.asked = encoder, None, (), []

    def rank(self, vectors, wanted: Wanted):
        self.asked.append(wanted)
        rows = [3, -1] if self.missing else [7, 3]
        return [Ranked(np.array([rows]), np.array([[0.9, 0.8]], np.float32))]

    def passages(self, rows):
        self.missing = (1,)
        return {row: passage(row) for row in rows if row != 7}

    def hit(self, row, score, found):
        return Hit(row, score, found)


def test_what_is_lost_half_way_is_searched_without(tmp_path):
    """Or a candidate that cannot be read would stand in the place of one that can."""
    retriever = make_retriever(make_store(tmp_path, np.arange(9), random_vectors(0, 9)), np.ones((1, 8)))
    session, search = Losing(retriever.encoder), dense(2, setting=Setting(0, 0))
    ((found,),) = Searching([retriever.opened], session, search).many(["0"], [View()], 2)
    assert found == Ranking((Hit(3, np.float32(0.9), passage(3)),), True, (1,))
    assert len(session.asked) == 2


def test_a_hybrid_search_chooses_its_setting_for_the_hits_that_it_joins(store, monkeypatch):
    retriever, asked = LocalRetriever.open(store), []

    def setting(effort, k):
        asked.append(k)
        return Setting(0, 0)

    monkeypatch.setattr(retriever.opened, "setting", setting)
    retriever.search(["blue glass"], Search(3))
    retriever.search(["blue glass"], Search(3, method=DENSE))
    retriever.search(["blue glass"], retriever.settled(Search(3)))
    assert asked == [100, 3, 3]
