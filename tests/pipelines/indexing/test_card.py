import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore.files.json import read_json
from datastore.files.layout import Layout
from datastore.generations.generation import current
from datastore.store import Datastore
from pipelines.indexing import card
from pipelines.indexing.card import copy_card, measure_again, sentence, sentences
from retriever.ranking.card import read_card
from retriever.ranking.measuring import measure
from tests.conftest import build_store


def test_each_query_is_a_sentence_of_a_passage(store):
    opened = Datastore.open(store)
    texts = [passage.text for passage in opened]
    found = sentences(opened, 1000, 0)
    assert len(found) == len(texts)
    assert all(one in text for one, text in zip(found, texts, strict=True))
    assert 1 <= len(sentences(opened, 5, 0)) <= 5
    assert sentences(opened, 5, 0) == sentences(opened, 5, 0)


@given(st.text(min_size=1))
def test_any_text_gives_a_query(text):
    assert len(sentence(text)) <= 301
    assert sentence(text) in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The first one is here. The middle one is there! The last one is gone.", "The middle one is there!"),
        ("no end in sight for this text of words", "no end in sight for this text of words"),
    ],
)
def test_the_middle_sentence_stands_for_a_passage(text, expected):
    assert sentence(text) == expected


def test_a_card_is_in_no_checksum(tmp_path, corpus):
    manifest = build_store(tmp_path / "s", corpus, limit=9)
    assert not any("card" in entry.path for entry in manifest.files)
    (tmp_path / "s" / "index" / "Flat" / "card.0.json").unlink()
    Datastore.open(tmp_path / "s")
    marker = read_json(tmp_path / "s" / "stages" / "card" / "00000.json")
    assert marker.items() >= {"counts": {"queries": 9}, "files": []}.items()
    assert current(Datastore.open(tmp_path / "s").layout).hash == manifest.hash


def test_a_large_index_is_measured_on_the_disk_and_leaves_nothing_there(tmp_path, corpus, monkeypatch):
    build_store(tmp_path / "s", corpus, index_key="IVF4,SQ8", passages_per_shard=8)
    store = Datastore.open(tmp_path / "s")
    lists, found = store.layout.lists("IVF4,SQ8", 0), []
    cards = [measure_again(tmp_path / "s", [])]
    monkeypatch.setattr(card, "_IN_MEMORY", 0)
    monkeypatch.setattr(
        "retriever.ranking.measuring.measure", lambda *given: found.append(lists.exists()) or measure(*given)
    )
    cards.append(measure_again(tmp_path / "s", []))
    assert (found, lists.exists()) == ([True], False)
    recalls = [[(r.nprobe, r.depth, r.recall_10, r.recall_100) for r in one.rungs] for one in cards]
    assert recalls[0] == recalls[1]


def test_a_card_is_measured_again_once_the_index_has_grown(tmp_path, corpus):
    build_store(tmp_path / "s", corpus, index_key="IVF4,SQ8")
    layout = Layout(tmp_path / "s")
    before = current(layout)
    for rows, kept in ((before.rows, True), (before.rows * 103 // 100, True), (before.rows * 2, False)):
        last = before.shards[-1].model_copy(update={"rows": before.shards[-1].rows + rows - before.rows})
        after = before.model_copy(update={"edition": 7, "shards": (*before.shards[:-1], last)})
        assert copy_card(layout, before, after) is kept
    found = read_card(layout, before.model_copy(update={"edition": 7}))
    assert found == read_card(layout, before)
    layout.card(before.index.key, before.edition).unlink()
    assert not copy_card(layout, before, before)
