import pytest

from base.errors import RalmError
from datastore.view import View
from retriever.local import LocalRetriever
from retriever.request import Effort, Method, Search
from serve.answering.places import Addresses
from serve.answering.results import results_of
from serve.schemas.searching import SearchReply


@pytest.fixture(scope="module")
def retriever(store):
    return LocalRetriever.open(store)


def reply_to(retriever, search, queries):
    return SearchReply.of(results_of(retriever, search, queries), Addresses(retriever))


def test_a_setting_has_the_recall_of_the_card(retriever):
    reply = reply_to(retriever, Search(view=View(0.5), method=Method("dense")), ["blue glass"])
    assert reply.setting.model_dump() == {"nprobe": 0, "depth": 0, "recall": 1.0}
    assert reply.manifest == retriever.hash
    assert reply_to(retriever, Search(method=Method("bm25")), ["blue glass"]).setting is None


def test_what_is_left_open_is_chosen_and_a_settled_search_gets_the_same_reply(retriever):
    search, queries = Search(3, effort=Effort(recall=0.9)), ["blue glass", "smoked trout"]
    reply, again = (reply_to(retriever, one, queries) for one in (search, retriever.settled(search)))
    assert set(reply.seconds) == {"encode", "propose", "rescore", "words", "fuse", "passages"}
    assert reply.model_dump(exclude={"seconds"}) == again.model_dump(exclude={"seconds"})
    assert [result.query for result in reply.results] == queries


def test_why_so_few_were_found_is_said_of_each_query(retriever):
    reply = reply_to(retriever, Search(3, method=Method("bm25")), ["blue glass", "xylograph"])
    assert [result.exhausted for result in reply.results] == [False, True]
    assert "holds a word of the query" in reply.results[1].shortfall
    assert reply.results[0].shortfall is None


def test_what_cannot_be_answered_is_refused(retriever):
    with pytest.raises(RalmError, match="has no lists to probe"):
        reply_to(retriever, Search(effort=Effort(nprobe=3)), ["x"])
