from pathlib import Path
from typing import get_args

import orjson
import pytest
from pydantic import BaseModel

import datastore.generations.manifest
from base.errors import RalmError
from datastore.files.json import to_json
from datastore.files.layout import Layout
from datastore.files.writing import checksum_of
from datastore.generations.generation import current, current_hash, publish
from datastore.generations.manifest import (
    EncoderCard,
    FileEntry,
    IndexEntry,
    Manifest,
    ShardEntry,
    SourceEntry,
    parse,
)

# Manifests as each ralm before wrote them, by format version and what came with it. They stay as they are.
FORMATS = Path(__file__).with_name("formats")

CARD = {
    "name": "one",
    "weights_sha256": "1",
    "dimension": 8,
    "max_tokens": 8,
    "dtype": "float32",
    "prompts": {"query": "", "passage": ""},
    "normalized": True,
}


def test_a_card_from_before_there_were_two_towers_is_the_same_bytes():
    card = EncoderCard.model_validate(CARD)
    assert card.model_dump(mode="json") == CARD
    both = card.model_copy(update={"pooling": "cls", "query": card.model_copy(update={"name": "other"})})
    found = both.model_dump(mode="json")
    assert found == CARD | {"pooling": "cls", "query": CARD | {"name": "other"}}
    assert EncoderCard.model_validate(found) == both


def test_encoders_compare_if_both_towers_are_the_same_and_used_alike():
    card = EncoderCard.model_validate(CARD)
    other = card.model_copy(update={"weights_sha256": "2"})
    two = card.model_copy(update={"query": other})
    assert card.for_queries == card
    assert two.for_queries == other
    assert card.compares_with(card.model_copy(update={"name": "moved", "dtype": "bfloat16"}))
    assert two.compares_with(two)
    for changed in ({"query": other}, {"prompts": {"query": "q: "}}, {"normalized": False}, {"query": None}):
        assert card.compares_with(card.model_copy(update=changed)) == (changed == {"query": None})
    assert not two.compares_with(other.model_copy(update={"query": other}))
    mean, cls = (card.model_copy(update={"pooling": pooling}) for pooling in ("mean", "cls"))
    assert not mean.compares_with(cls)
    assert card.compares_with(mean)  # An early store does not say.


def test_a_tower_is_found_under_another_name_only_where_there_is_one():
    card = EncoderCard.model_validate(CARD)
    two = card.model_copy(update={"query": card})
    assert two.at("here", "there").query.name == "there"
    assert two.at(None) == two
    with pytest.raises(RalmError, match=r"one encoder for passages and queries, one: leave out .* there"):
        card.at(None, "there")


def test_another_format_version_is_refused(own_store):
    layout = Layout(own_store)
    publish(layout, current(layout).model_copy(update={"format_version": 99}))
    with pytest.raises(RalmError, match="format version 99"):
        current(layout)


def test_no_measurement_and_no_place_is_in_it(store, tmp_path_factory):
    text = Layout(store).manifest(1).read_text()
    assert "seconds" not in text
    assert str(store) not in text
    assert str(tmp_path_factory.getbasetemp()) not in text


def test_what_a_store_has_not_leaves_its_bytes_as_they_were_before_there_was_such(store):
    manifest = current(Layout(store))
    assert b"contamination" not in manifest.to_bytes().replace(b'"decontaminate"', b"")
    assert b"passage_hashes" not in manifest.to_bytes()
    assert b"line_hashes" not in manifest.to_bytes()
    with_it = manifest.model_copy(update={"contamination": manifest.index.trained})
    assert b'"contamination"' in with_it.to_bytes()


FILE = {"path": "passages/00000.arrow", "bytes": 8, "xxh3": "0"}
SHARD = {
    "first_row": 0,
    "rows": 2,
    "passages": FILE,
    "vectors": FILE,
    "codes": None,
    "lexical": [FILE],
    "deleted": None,
    "taken_down": 0,
}
# As the first ralm of this format wrote it; later ones have written more, where a store had more.
FIRST = {
    "format_version": 3,
    "generation": 1,
    "edition": 0,
    "next_shard": 1,
    "sources": [{"name": "wiki.jsonl", "domain": None, "bytes": 9}],
    "config": {"sources": []},
    "encoder": CARD,
    "index": {"key": "Flat", "recall": 0.95, "trained": FILE},
    "mean_words": 4.0,
    "shards": [SHARD],
    "domains": {"wiki": 2},
    "columns": {},
    "counts": {"records": 2, "documents": 2, "unreadable": 0, "indexed": 2, "passages": 2},
    "documents": [FILE],
    "takedowns": [],
    "removed": [],
}
LATER = {
    "first": {},
    "two towers": {"encoder": CARD | {"pooling": "cls", "query": CARD}},
    "evaluation texts": {"contamination": FILE},
    "hashes of passages": {"passage_hashes": [FILE]},
    "hashes of lines": {"line_hashes": [FILE]},
    "near-duplicates": {"near": [FILE]},
    "default domains": {
        "sources": [
            {"name": "wiki.jsonl#2", "domain": None, "bytes": 9, "default_domain": "wiki.jsonl"},
            {"name": "a#2", "domain": None, "bytes": 9, "called": "a#2"},
        ]
    },
    "takedowns": {"takedowns": [FILE], "shards": [SHARD | {"deleted": FILE, "taken_down": 1}]},
    "doubt": {"counts": FIRST["counts"] | {"doubtful": 1, "unknown_tokens.wiki.jsonl": 1}},
}


@pytest.mark.parametrize("later", LATER)
def test_a_manifest_of_each_earlier_ralm_is_read_and_keeps_its_bytes(later):
    written = FIRST | LATER[later]
    assert orjson.loads(parse(to_json(written), "m").to_bytes()) == written


READ = ["living", "towers", "contamination", "passage-hashes", "line-hashes", "near", "sources"]
REFUSED = {
    "1-first": "format version 1, this ralm reads 3: use the ralm that built it, or build again",
    "2-views": "format version 2, this ralm reads 3",
    "2-words": "format version 2, this ralm reads 3",
    "3-unnumbered-shards": "is not a valid manifest: next_shard is missing",
}


def test_every_earlier_format_is_read_or_refused():
    assert {path.stem for path in FORMATS.iterdir()} == {*REFUSED, *(f"3-{name}" for name in READ)}


@pytest.mark.parametrize("name", READ)
def test_a_manifest_of_each_earlier_format_keeps_its_bytes_and_its_hash(name):
    data = (FORMATS / f"3-{name}.json").read_bytes()
    manifest = parse(data, name)
    assert manifest.to_bytes() == data
    assert manifest.hash == Manifest.model_validate(orjson.loads(data)).hash == checksum_of(data)
    assert manifest.passages == 5
    changed = manifest.model_copy(update={"generation": 3})
    assert changed.hash == checksum_of(changed.to_bytes()) != manifest.hash


@pytest.mark.parametrize("name", REFUSED)
def test_a_manifest_of_a_format_that_is_not_read_is_refused_in_a_sentence(name):
    with pytest.raises(RalmError, match=REFUSED[name]):
        parse((FORMATS / f"{name}.json").read_bytes(), name)


# What is written whatever it holds: the fields that every manifest of this format has.
ALWAYS = {
    Manifest: {*FIRST},
    EncoderCard: {*CARD},
    FileEntry: {*FILE},
    ShardEntry: {*SHARD},
    IndexEntry: {*FIRST["index"]},
    SourceEntry: {*FIRST["sources"][0]},
}


def _models(kind):
    """The models that a field's type, or a model's fields, consist of."""
    parts = get_args(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        # A card of two towers holds another card.
        parts = [field.annotation for field in kind.model_fields.values() if field.annotation != kind | None]
    for part in parts:
        yield from _models(part)


def test_a_field_that_came_later_is_left_out_where_a_store_has_nothing_of_it():
    assert {*_models(Manifest)} == {*ALWAYS}
    for model, always in ALWAYS.items():
        assert always <= {*model.model_fields}
        for name in {*model.model_fields} - always:
            field = model.model_fields[name]
            what = f"{model.__name__}.{name} is to be `later(...)`: it changes the bytes of early stores"
            assert not field.is_required(), what
            assert field.exclude_if is not None, what
            assert field.exclude_if(field.default), what


class _WiderCard(EncoderCard):
    layers: int | None = None


class _WiderManifest(Manifest):
    """As a ralm would have it that forgot to say that its new fields came later."""

    encoder: _WiderCard
    mood: str | None = None


def test_the_hash_is_of_the_bytes_that_were_read_whatever_would_be_written(own_store, monkeypatch):
    layout = Layout(own_store)
    monkeypatch.setattr(datastore.generations.manifest, "Manifest", _WiderManifest)
    manifest = current(layout)
    assert b'"mood"' in manifest.to_bytes()
    assert b'"layers"' in manifest.to_bytes()
    assert manifest.hash == current_hash(layout) == checksum_of(layout.manifest(1).read_bytes())
    # What is published of it is called by its own bytes.
    publish(layout, manifest.model_copy(update={"generation": 2}))
    assert current(layout).hash == current_hash(layout) == checksum_of(layout.manifest(2).read_bytes())


def test_the_bytes_of_a_new_manifest_are_what_they_were():
    assert Manifest.model_validate(FIRST).hash == "2456a048056177e737f6a1c777c0c8c1"
