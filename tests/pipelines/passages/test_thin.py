"""Repeated passages over whole builds: the first of the corpus stays, whatever carries the build out."""

import orjson
import pytest

from datastore.files.layout import Layout
from datastore.generations.generation import current
from datastore.schema import text_hash
from datastore.shard import open_array
from datastore.store import Datastore
from datastore.verify import verify
from pipelines.duplicates import repeats
from pipelines.jobs.status import status
from tests.conftest import add_to, build_store, compact, delete, tree
from tests.corpus import documents, write_lines
from tests.faults import Fault

SETTINGS = {"split_bytes": 2048, "passages_per_shard": 8, "chunk_tokens": 24, "index_key": "Flat"}
NOTICE = "All rights of this text and of its translation are reserved by the library that keeps it."
# Each ends in the notice, which is a passage of its own; one is all of it.
RECORDS = [{**one, "text": f"{one['text']} {NOTICE}"} for one in documents()[:24]]
RECORDS.insert(9, {"id": "bare", "text": f"{NOTICE} ", "domain": "notices", "only": 1})
MORE = [
    {
        "id": "late",
        "text": f"A late document that the library of the harbour has received this year. {NOTICE}",
    }
]


def corpus(folder, records=None):
    return write_lines(folder / "towns.jsonl", records or RECORDS)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A store without repeats and one of the same corpus with them. Not to be changed."""
    folder = tmp_path_factory.mktemp("thin")
    build_store(folder / "thin", corpus(folder), duplicate_passages="drop", **SETTINGS)
    build_store(folder / "all", corpus(folder), **SETTINGS)
    return folder / "thin", folder / "all"


def test_the_first_passage_of_each_text_stays_as_it_is_called(stores):
    thin, whole = (list(Datastore.open(root)) for root in stores)
    first = {}
    for passage in whole:
        first.setdefault(text_hash(passage.text), passage)
    assert thin == [passage for passage in whole if first[text_hash(passage.text)] is passage]
    assert len(whole) - len(thin) > 20


def test_vectors_are_those_of_the_passages_that_stay(stores):
    thin, whole = map(Datastore.open, stores)
    place = {(p.doc_id, p.chunk): row for row, p in enumerate(whole)}
    rows = [place[p.doc_id, p.chunk] for p in thin]
    assert abs(thin.vectors(range(thin.rows)) - whole.vectors(rows)).max() < 0.01


def test_every_passage_and_document_is_accounted_for(stores):
    counts, before = (current(Layout(root)).counts for root in stores)
    assert counts["dropped.duplicate"] == before["passages"] - counts["passages"]
    assert counts["passages_cut"] == before["passages"]
    assert "passages_cut" not in before
    assert counts["removed.no_new_passage"] == 1
    assert counts["indexed"] == before["indexed"] - 1
    manifest = current(Layout(stores[0]))
    assert "notices" not in manifest.domains
    assert "only" not in manifest.columns
    assert counts["tokens"] < before["tokens"]
    assert verify(stores[0]) == []
    (line,) = [
        orjson.loads(line)
        for path in (stores[0] / "removed" / "no_new_passage").iterdir()
        for line in path.read_bytes().splitlines()
    ]
    assert line["id"] == "bare"
    # Of what stays, and of nothing else, later additions are told.
    assert sum(len(open_array(stores[0] / file.path)) for file in manifest.passage_hashes) == manifest.rows


def listed(root):
    paths = sorted((root / "removed").rglob("duplicate_passage/*.jsonl"))
    return [orjson.loads(line) for path in paths for line in path.read_bytes().splitlines()]


def test_what_is_dropped_is_listed_with_what_is_kept(stores):
    thin, whole = ({(p.domain, p.doc_id, p.chunk): p for p in Datastore.open(root)} for root in stores)
    lines = listed(stores[0])
    assert len(lines) == len(whole) - len(thin)
    for line in lines:
        dropped = whole[line["domain"], line["id"], line["chunk"]]
        kept = thin[line["kept"]["domain"], line["kept"]["id"], line["kept"]["chunk"]]
        assert dropped.text == kept.text
        assert dropped != kept


def test_workers_and_ranges_change_no_byte(stores, tmp_path, monkeypatch, two_processes):
    build_store(
        tmp_path / "s", corpus(tmp_path), executor=two_processes, duplicate_passages="drop", **SETTINGS
    )
    assert tree(tmp_path / "s") == tree(stores[0])
    monkeypatch.setattr(repeats, "_TEXTS_PER_RANGE", 10)
    build_store(tmp_path / "many", corpus(tmp_path), duplicate_passages="drop", **SETTINGS)
    assert current(Layout(tmp_path / "many")).hash == current(Layout(stores[0])).hash
    found = {stage.name: stage for stage in status(tmp_path / "many").stages}
    assert found["dedup-passage"].done == found["dedup-passage"].total > 4
    assert found["thin"].done == found["thin"].total


@pytest.mark.parametrize(
    "point", ["work/cut/00001-00000.arrow", "work/duplicates-passage/*", "work/chunks/00001-00000.arrow"]
)
def test_a_killed_build_goes_on_to_the_same_bytes(tmp_path, builder, stores, point):
    config = {"sources": [{"path": str(corpus(tmp_path))}], "duplicate_passages": "drop", **SETTINGS}
    root = tmp_path / "s"
    assert builder.build(Fault(str(root), config, when="after", point=point)).signal == 9
    assert builder.build(Fault(str(root), config)).error == ""
    assert tree(root) == tree(stores[0])


def test_an_addition_repeats_nothing_that_the_store_has(tmp_path):
    first = write_lines(tmp_path / "first.jsonl", RECORDS[:12])
    second = write_lines(tmp_path / "second.jsonl", [*RECORDS[12:], *MORE])
    build_store(tmp_path / "added", first, duplicate_passages="drop", **SETTINGS)
    manifest, counts = add_to(tmp_path / "added", second)
    both = build_store(tmp_path / "both", first, second, duplicate_passages="drop", **SETTINGS)
    assert counts["dropped.duplicate"] == len(RECORDS) - 12 + len(MORE)
    known = [line for line in listed(tmp_path / "added") if "in the store already" in line["reason"]]
    assert len(known) == counts["dropped.duplicate"]
    assert not any("kept" in line for line in known)
    assert manifest.counts == both.counts
    shards = [(s.rows, s.passages, s.vectors) for s in manifest.shards]
    assert shards == [(s.rows, s.passages, s.vectors) for s in both.shards]
    assert [file.xxh3 for file in manifest.passage_hashes] == [file.xxh3 for file in both.passage_hashes]
    assert verify(tmp_path / "added") == []


def test_a_text_that_lost_all_to_another_is_not_held_when_that_is_gone(tmp_path):
    root = tmp_path / "s"
    build_store(root, corpus(tmp_path), duplicate_passages="drop", **SETTINGS)
    bare = [{"id": "bare-again", "text": NOTICE}]
    # It is in the store, as a passage of another document: nothing of it is new.
    assert add_to(root, write_lines(tmp_path / "again.jsonl", bare))[1]["removed.no_new_passage"] == 1
    delete(root, next(p.doc_id for p in Datastore.open(root) if p.text == NOTICE))
    _, counts = add_to(root, write_lines(tmp_path / "more.jsonl", bare))
    assert (counts["passages"], counts["indexed"]) == (1, 1)
    assert [p.doc_id for p in Datastore.open(root) if p.text == NOTICE] == ["bare-again"]
    # Now it is, as a document.
    third = write_lines(tmp_path / "third.jsonl", [{"id": "third", "text": NOTICE}])
    assert add_to(root, third)[1]["removed.duplicate_text"] == 1
    assert verify(root) == []


def test_what_is_taken_down_may_come_back_under_another_name(tmp_path):
    root = tmp_path / "s"
    build_store(root, corpus(tmp_path), duplicate_passages="drop", **SETTINGS)
    delete(root, next(p.doc_id for p in Datastore.open(root) if p.text == NOTICE))
    compact(root)
    manifest, counts = add_to(root, write_lines(tmp_path / "more.jsonl", MORE))
    assert counts["dropped.duplicate"] == 0
    assert NOTICE in {p.text for p in Datastore.open(root)}
    again = [
        {
            "id": "later",
            "text": f"Another document that came to the library of the harbour much later. {NOTICE}",
        }
    ]
    assert add_to(root, write_lines(tmp_path / "again.jsonl", again))[1]["dropped.duplicate"] == 1
    assert verify(root) == []
    assert manifest.counts["removed.taken_down"] == 1
    assert manifest.counts["dropped.taken_down"] > 0
