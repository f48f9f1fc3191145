"""Repeated lines over whole builds, against the plain definition."""

import orjson
import pytest

from datastore.files.layout import Layout
from datastore.generations.generation import current
from datastore.shard import open_array
from datastore.store import Datastore
from datastore.verify import verify
from pipelines.duplicates import repeats
from pipelines.jobs.status import status
from tests.conftest import add_to, build_store, compact, delete, tree
from tests.corpus import documents, write_lines
from tests.faults import Fault

SETTINGS = {"split_bytes": 2048, "passages_per_shard": 8, "duplicate_lines": {"min_chars": 20}}
FOOT = "Subscribe to the letter of the library"
HEAD = "Menu"
RECORDS = [
    {**one, "text": f"{HEAD}\n{one['text']}\n\n  {FOOT} \n{FOOT if n % 3 == 0 else 'Page'}"}
    for n, one in enumerate(documents()[:24])
]
# One has nothing that does not stand elsewhere; one is a duplicate; one has a line more than another.
RECORDS[9:9] = [
    {"id": "only", "text": f"{FOOT}\n \n{FOOT}", "domain": "travel"},
    {"id": "copy", "text": RECORDS[4]["text"], "domain": "travel"},
    {
        "id": "two",
        "text": f"{RECORDS[2]['text']}\nA line that this edition has and no other has",
        "domain": "travel",
    },
]


def corpus(folder):
    return write_lines(folder / "towns.jsonl", RECORDS)


def expected():
    """The texts that stay, by id."""
    found, texts, seen = {}, set(), set()
    for record in RECORDS:
        if record["text"] in texts:
            continue
        texts.add(record["text"])
        kept = []
        for line in record["text"].split("\n"):
            same = " ".join(line.split())
            if len(line.strip()) < 20 or same not in seen:
                kept.append(line)
            if len(line.strip()) >= 20:
                seen.add(same)
        if any(line.strip() for line in kept):
            found[record["id"]] = "\n".join(kept)
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store of the corpus without repeated lines. Not to be changed."""
    folder = tmp_path_factory.mktemp("lines")
    build_store(folder / "s", corpus(folder), **SETTINGS)
    return folder / "s"


def test_what_stays_is_every_line_once_and_short_ones_always(store):
    found = {p.doc_id: p.text for p in Datastore.open(store)}
    assert {doc_id: text.split() for doc_id, text in expected().items()} == {
        doc_id: text.split() for doc_id, text in found.items()
    }
    assert sum(FOOT in text for text in found.values()) == 1
    assert sum(HEAD in text for text in found.values()) == 25
    assert "only" not in found
    assert "copy" not in found


def test_lines_and_documents_are_accounted_for(store):
    counts = current(Layout(store)).counts
    assert counts["removed.no_new_line"] == 1
    assert counts["removed.duplicate_text"] == 1
    whole = sum(len(record["text"].split("\n")) for record in RECORDS if record["id"] not in ("copy", "only"))
    kept = sum(len(text.split("\n")) for text in expected().values())
    assert counts["repeated_lines"] == whole - kept + 2
    held = (len(open_array(store / file.path)) for file in current(Layout(store)).line_hashes)
    assert counts["lines_compared"] == counts["repeated_lines"] + sum(held)
    assert verify(store) == []
    listed = [
        orjson.loads(line)
        for path in (store / "removed" / "repeated_line").iterdir()
        for line in path.read_bytes().splitlines()
    ]
    assert len(listed) == counts["repeated_lines"]
    assert {"domain": "travel", "id": "only", "line": 3} in listed


def test_workers_and_ranges_change_no_byte(store, tmp_path, monkeypatch, ralm, two_processes):
    build_store(tmp_path / "s", corpus(tmp_path), executor=two_processes, **SETTINGS)
    assert tree(tmp_path / "s") == tree(store)
    monkeypatch.setattr(repeats, "_TEXTS_PER_RANGE", 10)
    build_store(tmp_path / "many", corpus(tmp_path), **SETTINGS)
    assert current(Layout(tmp_path / "many")).hash == current(Layout(store)).hash
    found = {stage.name: stage for stage in status(tmp_path / "many").stages}
    assert found["dedup-line"].done == found["dedup-line"].total > 4
    assert found["lines"].done == found["lines"].total
    assert "repeated lines, left out" in ralm("status", store)[1]


@pytest.mark.parametrize("point", ["work/line-hashes/00001.npy", "work/duplicates-line/*"])
def test_a_killed_build_goes_on_to_the_same_bytes(tmp_path, builder, store, point):
    config = {"sources": [{"path": str(corpus(tmp_path))}], **SETTINGS}
    root = tmp_path / "s"
    assert builder.build(Fault(str(root), config, when="after", point=point)).signal == 9
    assert builder.build(Fault(str(root), config)).error == ""
    assert tree(root) == tree(store)


LATE = [{"id": f"late-{n}", "text": f"A late page of the library, number {n}\n{FOOT}"} for n in range(3)]


def test_an_addition_repeats_no_line_that_the_store_has(tmp_path, monkeypatch):
    first = write_lines(tmp_path / "first.jsonl", RECORDS[:14])
    second = write_lines(tmp_path / "second.jsonl", [*RECORDS[14:], *LATE])
    for number, ranges in ((0, 16_000_000), (1, 10)):
        monkeypatch.setattr(repeats, "_TEXTS_PER_RANGE", ranges)
        roots = [tmp_path / f"{name}-{number}" for name in ("added", "both")]
        build_store(roots[0], first, **SETTINGS)
        manifest, counts = add_to(roots[0], second)
        both = build_store(roots[1], first, second, **SETTINGS)
        assert counts["repeated_lines"] >= 3
        assert manifest.counts == both.counts
        shards = [(s.rows, s.passages, s.vectors) for s in manifest.shards]
        assert shards == [(s.rows, s.passages, s.vectors) for s in both.shards]
        assert [file.xxh3 for file in manifest.line_hashes] == [file.xxh3 for file in both.line_hashes]
        assert sum(FOOT in p.text for p in Datastore.open(roots[0])) == 1
        assert {stage.done == stage.total for stage in status(roots[0]).stages} == {True}
        assert verify(roots[0]) == []


def test_a_text_that_lost_all_to_others_is_not_held_when_those_are_gone(tmp_path):
    root = tmp_path / "s"
    build_store(root, corpus(tmp_path), **SETTINGS)
    again = [{"id": "only-again", "text": next(r["text"] for r in RECORDS if r["id"] == "only")}]
    assert add_to(root, write_lines(tmp_path / "again.jsonl", again))[1]["removed.no_new_line"] == 1
    delete(root, next(p.doc_id for p in Datastore.open(root) if FOOT in p.text))
    _, counts = add_to(root, write_lines(tmp_path / "more.jsonl", again))
    assert (counts["passages"], counts["repeated_lines"]) == (1, 1)
    assert verify(root) == []


@pytest.mark.parametrize("repeats", ["keep", "drop"])
def test_a_copy_of_what_has_lost_all_comes_to_nothing_as_in_a_build_of_both(tmp_path, repeats):
    """Its long lines are held, too: by them alone a copy would be another text, of its short lines."""
    question = "Which keeper of the old lighthouse wrote down the names of all ships in winter?"
    asked = write_lines(tmp_path / "q.jsonl", [{"question": question, "gold_docs": ["x"]}])
    text = f"Harbour notes\n{question}\nsee also: ships"
    if repeats == "drop":  # All that it holds is a passage of another document, whose lines are others.
        text = "Harbour notes\nA line of some length that two documents have, one in a longer line\nsee also."
    whole = " ".join([*text.split(), "Then comes a further sentence", *(f"of word {n}" for n in range(40))])
    first = [{"id": "whole", "text": whole}, {"id": "a", "text": text}, *RECORDS[:3]]
    settings = {"duplicate_lines": {}, "duplicate_passages": repeats, "decontaminate": [str(asked)]}
    files = [
        write_lines(tmp_path / "one.jsonl", first),
        write_lines(tmp_path / "two.jsonl", [{"id": "b", "text": text}]),
    ]
    build_store(tmp_path / "s", files[0], chunk_tokens=32, **settings)
    manifest, counts = add_to(tmp_path / "s", files[1])
    both = build_store(tmp_path / "both", *files, chunk_tokens=32, **settings)
    assert {"a", "b"}.isdisjoint(p.doc_id for p in Datastore.open(tmp_path / "both"))
    assert [s.passages for s in manifest.shards] == [s.passages for s in both.shards]
    assert counts["removed.duplicate_text"] == both.counts["removed.duplicate_text"] == 1


def test_a_line_of_what_is_taken_down_may_come_again(tmp_path):
    root = tmp_path / "s"
    build_store(root, corpus(tmp_path), **SETTINGS)
    delete(root, next(p.doc_id for p in Datastore.open(root) if FOOT in p.text))
    _, counts = add_to(root, write_lines(tmp_path / "more.jsonl", LATE))
    assert counts["repeated_lines"] == 2
    assert [p.doc_id for p in Datastore.open(root) if FOOT in p.text] == ["late-0"]
    compact(root)
    again = write_lines(tmp_path / "again.jsonl", [{"id": "bare", "text": FOOT}])
    assert add_to(root, again)[1]["removed.no_new_line"] == 1
    assert verify(root) == []


def test_all_three_together_and_a_document_that_each_takes_something_of(tmp_path):
    question = "Which keeper of the old lighthouse wrote down the names of all ships in winter?"
    asked = write_lines(tmp_path / "q.jsonl", [{"question": question, "gold_docs": ["x"]}])
    passage = "This sentence of some length is the one that stands in two documents word by word."
    other = "Another sentence of the same length follows it, which no other document has at all."
    records = [
        {"id": "one", "text": f"{FOOT}\n{passage}"},
        {"id": "two", "text": f"{FOOT}\n{question} {passage[:-1]}. {other}"},
        {"id": "three", "text": f"{FOOT}\n{question}"},
    ]
    manifest = build_store(
        tmp_path / "s",
        write_lines(tmp_path / "a.jsonl", records),
        duplicate_passages="drop",
        decontaminate=[str(asked)],
        duplicate_lines={"min_chars": 20},
        chunk_tokens=20,
    )
    counts = manifest.counts
    assert counts["repeated_lines"] == 2
    assert counts["dropped.contaminated"] == 2
    assert counts["removed.contaminated"] == 1
    found = {(p.doc_id, p.text) for p in Datastore.open(tmp_path / "s")}
    assert ("two", other) in found
    assert not any(question in text for _, text in found)
    assert counts["passages"] == len(found)
    assert verify(tmp_path / "s") == []
