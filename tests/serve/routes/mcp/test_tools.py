from functools import partial

import anyio
import pytest

from base.errors import RalmError
from datastore.schema import Passage
from retriever.local import LocalRetriever
from serve.answering.places import Place, Whole
from serve.routes.mcp import tools as limits
from serve.routes.mcp.stdio import tools_of
from serve.routes.mcp.tools import document_of
from tests.corpus import documents, long_documents

BASE = "http://x"


@pytest.fixture(scope="module")
def tools(store):
    return tools_of(LocalRetriever.open(store))


def search(tools, query, most=3):
    return anyio.run(tools.search, query, most, BASE).results


def fetch(tools, text):
    return anyio.run(tools.fetch, text, BASE)


def test_a_search_names_what_can_be_fetched_and_cited(tools):
    best, *others = search(tools, "blue glass")
    assert len(others) == 2
    assert best.title == "Dunmarrow"
    assert "blue glass" in best.text
    assert best.url == f"{BASE}/documents/{best.id.split('.')[0]}#chunk-0"
    assert best.metadata == {"title": "Dunmarrow", "year": 1601, "domain": "travel"}
    found = fetch(tools, best.id)
    assert found.text in [one["text"] for one in documents()]
    assert best.text in found.text
    assert (found.url, found.title) == (best.url, best.title)
    assert found.metadata["characters"] == len(found.text)
    assert fetch(tools, best.id.split(".")[0]).text == found.text


@pytest.mark.parametrize("query", ["", " ", "x" * 100_001, "\ud800"])
def test_a_query_holds_text(tools, query):
    with pytest.raises(RalmError, match="A query must hold text"):
        search(tools, query)


@pytest.mark.parametrize("text", ["", "x", "file-" + 32 * "0", "file-" + 32 * "0" + ".0"])
def test_what_is_no_document_is_named(tools, text):
    with pytest.raises(RalmError, match=r"There is no document .*: take the id of a result of `search`"):
        fetch(tools, text)


def test_a_passage_that_is_not_there_is_no_document(tools):
    (best,) = search(tools, "blue glass", 1)
    with pytest.raises(RalmError, match="There is no document"):
        fetch(tools, best.id.split(".")[0] + ".99")


def test_of_a_long_document_the_part_around_a_passage_comes_and_the_ways_on(long_store, monkeypatch):
    retriever = LocalRetriever.open(long_store)
    record, passages = long_documents()[0], [p for p in retriever.store if p.doc_id == "book-Arvenholm"]
    whole = Whole("vs_long", tuple(passages))
    of = partial(document_of, whole, base=BASE)
    assert of(whole.place).text == record["text"]
    assert (of(whole.place).before, of(whole.place).after) == (None, None)
    monkeypatch.setattr(limits, "MAX_TEXT", 400)
    seen, at = [], str(whole.place)
    while at is not None:
        found = of(Place.parse(at))
        assert len(found.text) <= 450
        assert found.text in record["text"]
        assert found.metadata["characters"] == len(record["text"])
        seen.append(found.text)
        place = Place.parse(found.after) if found.after else None
        at = None if place is None else str(place)
    assert seen[0] == record["text"][: len(seen[0])]
    assert seen[-1] == record["text"][-len(seen[-1]) :]
    middle = of(Place(whole.place.document, 5))
    assert passages[5].text in middle.text
    assert middle.before is not None
    assert middle.after is not None


def test_a_passage_longer_than_the_limit_comes_whole(monkeypatch):
    monkeypatch.setattr(limits, "MAX_TEXT", 3)
    whole = Whole("vs_a", (Passage("long text", "d", "x", 0, 0), Passage("y", "d", "x", 1, 10)))
    assert document_of(whole, whole.place, BASE).text == "long text"
