import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from datastore.schema import Passage
from retriever.local import LocalRetriever
from retriever.opening import open_retriever
from serve.answering import places
from serve.answering.places import (
    Addresses,
    Place,
    Places,
    Whole,
    part_of,
    place_of,
    store_ids,
    title_of,
    url_of,
)
from tests.conftest import add_to, compact, delete
from tests.corpus import long_documents, write_lines
from tests.vectors import dense

BASE = "http://127.0.0.1:8000"
PASSAGE = Passage("Glass.", "travel", "Dunmarrow-1", 3, 90, {"title": "Dunmarrow"})


def of_a_document(retriever, row=0):
    (name, opened), *_ = retriever.stores.items()
    return place_of(store_ids(retriever)[name], opened.store.passage(row)).document


def test_a_document_is_its_passages_in_order_wherever_they_lie(long_store):
    retriever, finding = LocalRetriever.open(long_store), Places()
    assert store_ids(retriever) == {"": "vs_long"}
    for record in long_documents():
        row = next(n for n, p in enumerate(retriever.store) if p.doc_id == record["id"])
        found = finding.find(of_a_document(retriever, row), retriever)
        assert (found.store, found.title) == ("vs_long", record["title"])
        assert found.text == record["text"]
        assert len(found.passages) > 5
        assert found.place.document == of_a_document(retriever, row)


def test_ids_survive_additions_takedowns_and_compaction(own_store, tmp_path):
    retriever, finding = LocalRetriever.open(own_store), Places()
    ids = {p.doc_id: of_a_document(retriever, row) for row, p in enumerate(retriever.store)}
    texts = {doc_id: finding.find(one, retriever).text for doc_id, one in ids.items()}
    assert len(set(ids.values())) == len(ids) == 40
    add_to(
        own_store, write_lines(tmp_path / "more.jsonl", [{"id": "new", "text": "A new town was founded."}])
    )
    gone = next(iter(ids))
    delete(own_store, gone)
    hidden = retriever.hiding()  # As a server does before it has opened the new generation.
    assert finding.find(ids[gone], hidden) is None
    compact(own_store)
    after = retriever.refreshed()
    assert finding.find(ids.pop(gone), after) is None
    for found_by in (finding, Places()):  # What is remembered of other rows misleads nobody.
        assert {doc_id: found_by.find(one, after).text for doc_id, one in ids.items()} == {
            doc_id: text for doc_id, text in texts.items() if doc_id != gone
        }


def test_a_document_of_several_stores_is_found_in_its_own(store, long_store):
    retriever, finding = open_retriever(store, long_store), Places()
    assert store_ids(retriever) == {"towns": "vs_towns", "long": "vs_long"}
    alone = of_a_document(LocalRetriever.open(long_store))
    assert finding.find(alone, retriever).store == "vs_long"
    assert finding.find(alone, retriever, "vs_long") is not None
    assert finding.find(alone, retriever, "vs_towns") is None


def test_who_asks_at_an_address_gets_the_urls_of_pages_there(store):
    retriever, finding = LocalRetriever.open(store), Places()
    (ranking,) = retriever.search(["blue glass"], dense(1))
    (hit,) = ranking.hits
    its_id, url = Addresses(retriever, BASE, finding).of(hit)
    assert url == BASE + Place.parse(its_id).path
    assert finding.find(Place.parse(its_id).document, retriever).passages[0] == hit.passage
    assert Addresses(retriever).of(hit) == (its_id, None)
    own = replace(hit, passage=replace(hit.passage, metadata={"url": "https://x.example/"}))
    assert Addresses(retriever).of(own) == (its_id, "https://x.example/")


def test_a_part_of_the_stores_is_chosen_by_names_or_ids(store, long_store):
    retriever = open_retriever(store, long_store)
    for names in (["long"], ["vs_long"], ["vs_long", "long"]):
        assert list(part_of(retriever, names).stores) == ["long"]
    assert part_of(retriever, ["towns", "vs_long"]) is retriever
    with pytest.raises(RalmError, match=r"no store 'lnog' here: there are towns, long; did you mean long"):
        part_of(retriever, ["towns", "lnog"])
    with pytest.raises(RalmError, match="there are none"):
        part_of(None, ["towns"])


def test_a_hit_is_found_again_without_a_look_at_the_whole_store(store, monkeypatch):
    retriever, finding = LocalRetriever.open(store), Places()
    (ranking,) = retriever.search(["blue glass"], dense(1))
    place = finding.of(ranking.hits[0], retriever)
    monkeypatch.setattr(places, "find_document", None)
    assert finding.find(place.document, retriever).passages[place.chunk] == ranking.hits[0].passage


def test_as_many_are_remembered_as_may_be(store, monkeypatch):
    retriever, finding = LocalRetriever.open(store), Places()
    monkeypatch.setattr(places, "_REMEMBERED", 3)
    for row in range(10):
        assert finding.find(of_a_document(retriever, row), retriever) is not None
    assert len(finding._rows) == 3


@pytest.mark.parametrize("other", ["", "file-", "file-0", "vs_towns", "file-" + 32 * "0", "file-" + 32 * "g"])
def test_what_is_no_id_names_nothing(store, other):
    retriever = LocalRetriever.open(store)
    assert Places().find(other, retriever) is None
    assert Places().find(of_a_document(retriever) + ".0", retriever) is None


def test_an_id_is_read_as_it_is_written():
    place = place_of("vs_towns", PASSAGE)
    assert re.fullmatch(r"file-[0-9a-f]{32}\.3", str(place))
    assert Place.parse(str(place)) == place
    assert Place.parse(place.document) == Place(place.document)
    assert Place.parse("file-x") is None
    assert place_of("vs_other", PASSAGE).document != place.document
    # Lengths are part of what is hashed: no two documents are spelled the same.
    assert place_of("a", Passage("", "bc", "d", 0, 0)) != place_of("ab", Passage("", "c", "d", 0, 0))


@pytest.mark.parametrize(
    ("own", "used"),
    [
        ("https://towns.example/a?b=c#d", True),
        ("HTTP://towns.example/", True),
        ("javascript:alert(1)", False),
        ("https:towns", False),
        ('https://x/"onclick="y', False),
        ("http://[", False),
        ("ftp://x/y", False),
        ("http://x/\ny", False),
        (7, False),
        (None, False),
    ],
)
def test_a_passage_has_its_documents_url_or_that_of_its_page(own, used):
    place = place_of("vs_towns", PASSAGE)
    passage = replace(PASSAGE, metadata={"url": own})
    page = f"{BASE}/documents/{place.document}#chunk-3"
    assert url_of(passage, place, BASE) == (own if used else page)


def test_a_title_is_one_line_and_else_the_id():
    assert title_of(PASSAGE) == "Dunmarrow"
    assert title_of(replace(PASSAGE, metadata={"title": "Old\n  bridges"})) == "Old bridges"
    assert title_of(replace(PASSAGE, metadata={"title": " \n"})) == "Dunmarrow-1"
    assert title_of(replace(PASSAGE, metadata={"title": 7})) == "Dunmarrow-1"


WORDS = st.text("ab. ", min_size=1).map(str.strip).filter(bool)


@given(st.lists(st.tuples(WORDS, st.integers(0, 5), st.booleans()), min_size=1, max_size=8))
def test_a_text_has_its_passages_where_they_were_up_to_one_that_is_lost(parts):
    passages, at = [], 0
    for chunk, (text, gap, lost) in enumerate(parts):
        if not lost:
            passages.append(Passage(text, "d", "x", chunk, at))
        at += len(text) + gap
    if not passages:
        return
    text = Whole("vs_x", tuple(passages)).text
    begun = passages[0].start
    for passage, after in zip(passages, [*passages[1:], None], strict=True):
        start = passage.start - begun
        assert text[start : start + len(passage.text)] == passage.text
        if after is not None and after.chunk > passage.chunk + 1:
            assert text[start + len(passage.text) :].startswith("\n\n[...]\n\n" + after.text)
            break
    else:
        assert len(text) == passages[-1].start - begun + len(passages[-1].text)
