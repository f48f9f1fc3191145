"""Decontamination against the plain definition of `retriever.words`, and over whole builds."""

import json
import shutil

import orjson
import pytest

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.generations.generation import current
from datastore.store import Datastore
from datastore.verify import verify
from pipelines.contamination.table import sought
from pipelines.jobs.status import status
from retriever.words import words
from tests.conftest import add_to, build_store, compact, delete, flip, tree
from tests.corpus import documents, write_lines
from tests.resumption import Resumption

SETTINGS = {"split_bytes": 4096, "passages_per_shard": 8, "chunk_tokens": 24}
QUESTION = "Which keeper of the old lighthouse wrote down the names of all ships that passed in one winter?"
ANSWER = "the keeper who came from the far northern islands with his nine daughters"
# Passages of so few tokens end with each sentence.
HOLDS = (
    f"A quiz was held each autumn at the inn of the harbour by two brothers. {QUESTION} "
    "Whoever knew it was given a fish and a lamp, and sang for the others until the morning came."
)
COPY = f"It was {ANSWER}."
PLANTED = [
    {"id": "some", "text": HOLDS, "domain": "travel"},
    {"id": "all", "text": COPY, "domain": "travel"},
]
LATE = {"id": "late", "text": f"No, {COPY}"}
ASKED = {
    "one.jsonl": [{"id": "q1", "question": QUESTION, "answers": ["an old man", ANSWER]}],
    "two.jsonl": [
        {"id": "q2", "question": f"Say: {QUESTION}", "gold_docs": ["x"]},
        {"id": "q3", "question": "Who was the first mayor of a town that no document tells of?"},
    ],
}


def write_questions(folder):
    return [str(write_lines(folder / name, records)) for name, records in ASKED.items()]


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    return write_questions(tmp_path_factory.mktemp("asked"))


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    records = documents()
    return write_lines(tmp_path_factory.mktemp("planted") / "towns.jsonl", [*records[:20], *PLANTED])


@pytest.fixture(scope="module")
def clean(tmp_path_factory, planted, asked):
    """A store that was decontaminated, and the same corpus as it is without. Not to be changed."""
    folder = tmp_path_factory.mktemp("clean")
    build_store(folder / "clean", planted, decontaminate=asked, **SETTINGS)
    build_store(folder / "as-is", planted, **SETTINGS)
    return folder / "clean", folder / "as-is"


def lines(root, reason):
    paths = sorted((root / "removed").rglob(f"{reason}/*.jsonl"))
    return [orjson.loads(line) for path in paths for line in path.read_bytes().splitlines()]


def test_what_is_planted_goes_and_all_else_stays_as_it_is_called(clean):
    root, as_is = clean
    before = {(p.doc_id, p.chunk): p for p in Datastore.open(as_is)}
    after = {(p.doc_id, p.chunk): p for p in Datastore.open(root)}
    gone = before.keys() - after.keys()
    assert gone == {("some", 1), ("all", 0)}
    # What stays has the numbers that it has without: ("some", 2) follows ("some", 0).
    assert {key: before[key] for key in after} == after
    assert ("some", 2) in after


def test_every_passage_and_document_is_accounted_for(clean):
    root, as_is = clean
    counts, before = current(Layout(root)).counts, current(Layout(as_is)).counts
    assert counts["dropped.contaminated"] == 2
    assert counts["contaminated_by.one.jsonl"] == 2
    assert counts["contaminated_by.two.jsonl"] == 1
    assert counts["removed.contaminated"] == 1
    assert counts["passages"] == before["passages"] - 2
    assert counts["documents"] == before["documents"]
    assert counts["indexed"] == before["indexed"] - 1
    assert verify(root) == []
    assert lines(root, "contaminated")[0]["id"] == "all"
    listed = {line["id"]: line for line in lines(root, "contaminated_passage")}
    assert listed["some"]["chunk"] == 1
    assert [(h["file"], h["question"], h["part"]) for h in listed["some"]["holds"]] == [
        ("one.jsonl", "q1", "question"),
        ("two.jsonl", "q2", "question"),
    ]
    assert [(h["question"], h["part"]) for h in listed["all"]["holds"]] == [("q1", "answer")]
    # The words that both have: the second question begins with one more.
    shared = " ".join(words(QUESTION))
    assert [h["words"] for h in listed["some"]["holds"]] == [shared, shared]
    assert [h["words"] for h in listed["all"]["holds"]] == [" ".join(words(ANSWER))]
    assert set(listed["all"]["holds"][0]) == {"file", "question", "part", "share", "words"}


def test_the_summary_and_the_status_say_what_each_file_cost(clean, planted, asked, ralm, tmp_path):
    options = [option for file in asked for option in ("--decontaminate", file)]
    code, out, _ = ralm("build", planted, "-o", tmp_path / "s", "--executor", "local", *options)
    assert code == 0
    assert "for two.jsonl" in out
    assert "Of one.jsonl 2 of 3 questions and answers have enough words" in out
    code, out, _ = ralm("status", clean[0])
    assert "passages dropped: contaminated: 2" in out
    assert "for one.jsonl: 2" in out
    assert [(one.file, one.texts, one.sought) for one in sought(Layout(clean[0]).contamination)] == [
        ("one.jsonl", 3, 2),
        ("two.jsonl", 2, 2),
    ]


def test_no_path_enters_the_bytes_and_workers_change_none(clean, planted, tmp_path, two_processes):
    moved = write_questions(tmp_path / "elsewhere")
    build_store(tmp_path / "s", planted, executor=two_processes, decontaminate=moved, **SETTINGS)
    assert tree(tmp_path / "s") == tree(clean[0])
    assert not any(b"elsewhere" in data for data in tree(tmp_path / "s").values())


@pytest.fixture
def resumption(tmp_path, builder, planted, asked):
    config = {"sources": [{"path": str(planted)}], "decontaminate": {"files": asked}, **SETTINGS}
    return Resumption(builder, tmp_path / "s", config)


@pytest.mark.parametrize("point", ["contamination/grams.arrow", "removed/contaminated_passage/*.jsonl"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_killed_build_goes_on_to_the_same_bytes(resumption, clean, when, point):
    resumption.check(tree(clean[0]), when=when, point=point)


def test_a_build_goes_on_only_with_the_same_questions(tmp_path, clean, planted):
    root = shutil.copytree(clean[0], tmp_path / "s")
    files = write_questions(tmp_path / "asked")
    build_store(root, planted, decontaminate=files, **SETTINGS)
    with open(files[1], "a") as handle:
        handle.write(json.dumps({"question": "Is this one question more than there were?"}))
    with pytest.raises(RalmError, match="the files to decontaminate by have changed"):
        build_store(root, planted, decontaminate=files, **SETTINGS)
    with pytest.raises(RalmError, match="decontaminate was"):
        build_store(root, planted, **SETTINGS)
    assert verify(root) == []


def test_an_addition_is_checked_by_what_the_store_holds(tmp_path, clean):
    root = shutil.copytree(clean[0], tmp_path / "s")
    # The copy is of a document that the store was offered and has not.
    more = [{"id": "late", "text": f"{HOLDS} So it went on."}, {"id": "copy", "text": COPY}]
    more += documents()[30:]
    manifest, counts = add_to(root, write_lines(tmp_path / "more.jsonl", more))
    assert counts["dropped.contaminated"] == 1
    assert counts["contaminated_by.two.jsonl"] == 1
    assert counts["removed.duplicate_text"] == 1
    assert manifest.counts["contaminated_by.one.jsonl"] == 3
    found = {(p.doc_id, p.chunk) for p in Datastore.open(root)}
    assert {("late", 0), ("late", 2)} <= found
    assert ("late", 1) not in found
    assert manifest.contamination == current(Layout(clean[0])).contamination
    assert verify(root) == []
    assert status(root).dropped["dropped.contaminated"] == 3


def test_a_compaction_keeps_the_questions_and_counts_a_document_without_its_first_chunk(tmp_path, asked):
    text = f"{QUESTION} The inn keeper knows more of it than the priest. Nobody else does."
    records = [{"id": "headless", "text": text}, *documents()[:4]]
    root = tmp_path / "s"
    build_store(root, write_lines(tmp_path / "a.jsonl", records), decontaminate=asked, **SETTINGS)
    assert {p.chunk for p in Datastore.open(root) if p.doc_id == "headless"}.isdisjoint({0})
    delete(root, "headless")
    manifest, _ = compact(root)
    assert manifest.counts["removed.taken_down"] == 1
    assert manifest.counts["indexed"] == 4
    assert (root / manifest.contamination.path).exists()
    assert verify(root) == []
    more = write_lines(tmp_path / "more.jsonl", [LATE])
    assert add_to(root, more)[1]["removed.contaminated"] == 1


def test_verify_reads_the_questions(tmp_path, clean):
    root = shutil.copytree(clean[0], tmp_path / "s")
    flip(Layout(root).contamination)
    assert any("grams.arrow" in problem for problem in verify(root))


def test_a_store_in_a_bucket_brings_its_questions(tmp_path, remote, planted, asked, clean):
    build_store(remote.on(1), planted, decontaminate=asked, **SETTINGS)
    assert current(Layout(remote.on(1))).hash == current(Layout(clean[0])).hash
    _, counts = add_to(remote.on(2), write_lines(tmp_path / "more.jsonl", [LATE]))
    assert counts["removed.contaminated"] == 1
    assert verify(remote.address) == []


def test_a_file_of_short_texts_finds_nothing(tmp_path, planted):
    file = write_lines(tmp_path / "q.jsonl", [{"question": "Who wrote it?", "answers": ["the keeper"]}])
    manifest = build_store(tmp_path / "s", planted, decontaminate=[str(file)], lexical=False)
    assert manifest.counts["contaminated_by.q.jsonl"] == 0
    assert sought(Layout(tmp_path / "s").contamination)[0].sought == 0
