"""Adding: the same as a build of both corpora with the quantizer of the first."""

import json

import faiss
import numpy as np
import pytest

from base.errors import RalmError
from datastore.files.layout import Layout
from datastore.generations.generation import current
from datastore.shard import open_array
from datastore.store import Datastore
from datastore.verify import verify
from pipelines.execution.job import discard
from pipelines.jobs.delete import Deletion
from pipelines.jobs.status import status
from retriever.index.faiss_index import encode, read_trained
from retriever.local import LocalRetriever
from retriever.request import Method, Search
from tests.conftest import add_to, build_store, compact, delete, tree
from tests.corpus import documents, write_lines
from tests.faults import Fault
from tests.vectors import dense

SETTINGS = {"split_bytes": 4096, "passages_per_shard": 8}
DOCUMENTS = documents()
QUERIES = ["which town makes blue glass?", "how is the mayor chosen", "the river Mirn"]


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """Two corpora; the second repeats an identity and a text of the first, and one of its own."""
    folder = tmp_path_factory.mktemp("halves")
    second = [
        DOCUMENTS[3] | {"text": "another text under an identity that the store has"},
        *DOCUMENTS[25:],
        {"id": "copy", "text": DOCUMENTS[7]["text"], "domain": "travel"},
        {"id": "own copy", "text": DOCUMENTS[30]["text"], "domain": "travel"},
    ]
    return write_lines(folder / "first.jsonl", DOCUMENTS[:25]), write_lines(folder / "second.jsonl", second)


def answers(root):
    retriever = LocalRetriever.open(root)
    return retriever.search(QUERIES, dense(10)), retriever.search(QUERIES, Search(10, method=Method("bm25")))


def test_an_addition_is_what_a_build_of_both_would_have_made(tmp_path, halves):
    first, second = halves
    build_store(tmp_path / "added", first, **SETTINGS)
    manifest, counts = add_to(tmp_path / "added", second)
    both = build_store(tmp_path / "both", first, second, **SETTINGS)
    assert (manifest.generation, manifest.edition) == (2, 1)
    assert counts["removed.duplicate_id"] == 1
    assert counts["removed.duplicate_text"] == 2
    assert manifest.counts == both.counts
    assert manifest.domains == both.domains
    assert manifest.columns == both.columns
    assert manifest.sources == both.sources
    assert manifest.config == both.config
    shards = [(s.first_row, s.rows, s.passages, s.vectors) for s in manifest.shards]
    assert shards == [(s.first_row, s.rows, s.passages, s.vectors) for s in both.shards]
    assert verify(tmp_path / "added") == []
    # BM25 differs by the mean length alone: it is the first corpus's.
    assert answers(tmp_path / "added")[0] == answers(tmp_path / "both")[0]


@pytest.mark.parametrize("key", ["IVF4,SQ8", "IVF2,PQ96x4fs"])
def test_what_is_added_is_encoded_by_the_index_as_it_was_trained(tmp_path, halves, key):
    root = tmp_path / "s"
    build_store(root, halves[0], index_key=key, **SETTINGS)
    trained = (root / "index" / key / "trained.faiss").read_bytes()
    manifest, _ = add_to(root, halves[1])
    assert (root / manifest.index.trained.path).read_bytes() == trained
    faiss.omp_set_num_threads(1)
    quantizer = read_trained(root / manifest.index.trained.path)
    for shard in manifest.shards:
        expected = encode(quantizer, open_array(root / shard.vectors.path))
        assert (open_array(root / shard.codes.path) == expected).all()
    retriever = LocalRetriever.open(root)
    assert retriever.opened.card is not None
    texts = [p.text for p in retriever.store]
    assert [r.hits[0].passage.text for r in retriever.search(texts, dense(1))] == texts


def test_adding_what_is_there_changes_nothing(own_store, corpus):
    before = tree(own_store)
    manifest, counts = add_to(own_store, corpus)
    assert manifest.generation == 1
    assert counts["passages"] == 0
    assert counts["removed.duplicate_id"] == len(DOCUMENTS)
    kept = {
        path: data for path, data in tree(own_store).items() if not path.startswith(("stages", "removed"))
    }
    assert kept.items() <= before.items()
    assert not Layout(own_store).work.exists()
    # The next one begins anew.
    more = write_lines(own_store / ".." / "more.jsonl", [{"id": "x", "text": "a document that is quite new"}])
    assert add_to(own_store, more)[1]["passages"] == 1


def test_an_id_that_came_once_is_taken_though_its_text_was_there(own_store, tmp_path, ralm):
    card = LocalRetriever.open(own_store).opened.card
    copy = write_lines(tmp_path / "copy.jsonl", [DOCUMENTS[4] | {"id": "copy"}])
    code, out, _ = ralm("add", own_store, copy, "--executor", "local")
    assert (code, "No passage is new" in out) == (0, True)
    manifest = current(Layout(own_store))
    assert (manifest.generation, manifest.edition, manifest.rows) == (2, 1, len(DOCUMENTS))
    assert verify(own_store) == []
    assert LocalRetriever.open(own_store).opened.card == card
    again = write_lines(
        tmp_path / "again.jsonl",
        [DOCUMENTS[4] | {"id": "copy", "text": "a text of its own, long enough"}],
    )
    _, counts = add_to(own_store, again)
    assert counts["removed.duplicate_id"] == 1
    assert current(Layout(own_store)) == manifest
    assert not (own_store / "removed" / "0002-add").exists()


def test_what_is_taken_down_does_not_come_back(own_store, corpus, tmp_path):
    gone = DOCUMENTS[4]
    delete(own_store, gone["id"])
    again = [gone, {"id": "new", "text": gone["text"], "domain": "travel"}]
    manifest, counts = add_to(own_store, write_lines(tmp_path / "again.jsonl", again))
    assert counts["removed.taken_down"] == 1
    # Its text may come under another name: the store has it no more.
    assert counts["passages"] == 1
    found = {(p.doc_id, p.text) for p in Datastore.open(own_store)}
    assert ("new", gone["text"]) in found
    assert gone["id"] not in {doc_id for doc_id, _ in found}
    assert verify(own_store) == []
    assert manifest.domains["travel"] == 16 + 1


def test_the_text_of_a_duplicate_that_was_dropped_is_not_held_for_ever(tmp_path):
    text = "a text that two documents share, word for word"
    records = [{"id": "a", "text": text, "domain": "d"}, {"id": "b", "text": text, "domain": "d"}]
    root = tmp_path / "s"
    build_store(root, write_lines(tmp_path / "one.jsonl", [*records, DOCUMENTS[0]]))
    delete(root, "a")
    again = [{"id": "c", "text": text, "domain": "d"}, records[1]]
    _, counts = add_to(root, write_lines(tmp_path / "two.jsonl", again))
    assert (counts["passages"], counts["removed.duplicate_id"]) == (1, 1)
    assert {p.doc_id for p in Datastore.open(root)} == {"c", DOCUMENTS[0]["id"]}


def test_a_number_is_never_used_twice_so_that_an_open_reader_reads_its_own(tmp_path):
    root = tmp_path / "s"
    build_store(root, write_lines(tmp_path / "a.jsonl", DOCUMENTS[:6]), passages_per_shard=3)
    reader = LocalRetriever.open(root)
    delete(root, *(d["id"] for d in DOCUMENTS[3:6]))
    compact(root)
    manifest, _ = add_to(root, write_lines(tmp_path / "b.jsonl", DOCUMENTS[6:9]))
    assert manifest.shards[-1].passages.path == "passages/00003.arrow"
    # It has opened no shard yet.
    assert [p.doc_id for p in reader.store] == [d["id"] for d in DOCUMENTS[:6]]


def test_what_could_not_be_read_is_listed_though_nothing_is_new(own_store, tmp_path, ralm):
    (tmp_path / "bad.jsonl").write_text("{broken\n" * 3)
    code, out, _ = ralm("add", own_store, tmp_path / "bad.jsonl", "--executor", "local")
    assert code == 0
    assert "What could not be read" in out
    (listed,) = (own_store / "removed" / "0001-add" / "unreadable").iterdir()
    assert len(listed.read_text().splitlines()) == 3


def test_a_source_of_the_same_name_is_told_apart(own_store, tmp_path):
    lines = [{"text": f"a line without an identity, number {n}"} for n in range(3)]
    first = write_lines(tmp_path / "a" / "notes.jsonl", lines)
    add_to(own_store, first)
    more = write_lines(
        tmp_path / "b" / "notes.jsonl", [*lines[:1], {"text": "a line that only b has, and no id"}]
    )
    manifest, counts = add_to(own_store, more)
    assert counts["removed.duplicate_text"] == 1
    assert counts["passages"] == 1
    assert [s.name for s in manifest.sources] == ["towns.jsonl", "notes.jsonl", "notes.jsonl#2"]
    # One domain, but ids of their own: no line of the one is taken for a line of the other.
    assert manifest.domains["notes"] == 4


def test_a_file_that_is_added_again_brings_back_nothing_that_is_taken_down(own_store, tmp_path):
    notes = write_lines(
        tmp_path / "notes.jsonl",
        [{"id": f"note{n}", "text": f"a note of some length, number {n}"} for n in range(3)],
    )
    add_to(own_store, notes)
    delete(own_store, "note1")
    compact(own_store)
    _, counts = add_to(own_store, notes)
    assert (counts["removed.taken_down"], counts["removed.duplicate_id"], counts["passages"]) == (1, 2, 0)


POINTS = {
    "settings": "stages/0001-add/build.json",
    "documents": "work/documents/00000.arrow",
    "passages": "passages/00005.arrow",
    "vectors": "vectors/00004.npy",
    "codes": "index/*/00005.codes.npy",
    "words": "lexical/00004.weights.npy",
    "card": "index/*/card.1.json",
    "manifest": "manifests/000002.json",
    "pointer": "manifest.json",
}


@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("file", POINTS)
def test_killed_at_every_point(tmp_path, builder, halves, when, file):
    killed_and_resumed(tmp_path, builder, halves, when, file)


@pytest.mark.parametrize(("when", "file"), [("before", "vectors"), ("after", "pointer")])
def test_a_killed_addition_goes_on_to_the_same_bytes(tmp_path, builder, halves, when, file):
    killed_and_resumed(tmp_path, builder, halves, when, file)


def killed_and_resumed(tmp_path, builder, halves, when, file):
    config = {"sources": [{"path": str(halves[0])}], "index_key": "IVF4,SQ8", **SETTINGS}
    roots = [tmp_path / "undisturbed", tmp_path / "killed"]
    for root in roots:
        assert builder.build(Fault(str(root), config)).error == ""
    assert builder.build(Fault(str(roots[0]), add=str(halves[1]))).error == ""
    before = current(Layout(roots[1]))
    killed = builder.build(Fault(str(roots[1]), add=str(halves[1]), when=when, point=POINTS[file]))
    assert killed.signal == 9, killed
    if (when, file) != ("after", "pointer"):
        # Until it is published the store is as it was.
        assert current(Layout(roots[1])) == before
        assert verify(roots[1]) == []
        assert status(roots[1]).unfinished == "add" or (when, file) == ("before", "settings")
        assert builder.build(Fault(str(roots[1]), add=str(halves[1]))).error == ""
        assert tree(roots[1]) == tree(roots[0])
    else:
        # What had published is not begun anew, and says what it added.
        assert add_to(roots[1], halves[1])[1]["indexed"] == 15
        assert not Layout(roots[1]).work.exists()
        assert tree(roots[1]) == tree(roots[0])
    assert current(Layout(roots[1])) == current(Layout(roots[0]))
    assert verify(roots[1]) == []


def interrupted(tmp_path, builder, halves):
    root = tmp_path / "s"
    config = {"sources": [{"path": str(halves[0])}], **SETTINGS}
    assert builder.build(Fault(str(root), config)).error == ""
    assert (
        builder.build(Fault(str(root), add=str(halves[1]), when="after", point=POINTS["passages"])).signal
        == 9
    )
    return root


def test_a_takedown_need_not_wait_for_an_addition_and_holds_for_it(tmp_path, builder, halves):
    root = interrupted(tmp_path, builder, halves)
    gone = [(d["domain"], d["id"]) for d in (DOCUMENTS[2], DOCUMENTS[30])]
    listed = tmp_path / "gone.jsonl"
    listed.write_text("".join(json.dumps({"domain": d, "id": i}) + "\n" for d, i in gone))
    assert len(Deletion(root, ids_file=listed).run()[2]) == 2
    manifest, _ = add_to(root, halves[1])
    assert manifest.generation == 3
    shown = {(p.domain, p.doc_id) for p in Datastore.open(root)}
    assert shown == {(d["domain"], d["id"]) for d in DOCUMENTS} - set(gone)
    assert sum(manifest.domains.values()) == manifest.passages == len(shown)
    assert verify(root) == []


def test_the_builds_own_command_leaves_an_unfinished_addition_alone(tmp_path, builder, halves):
    root = interrupted(tmp_path, builder, halves)
    config = {"sources": [{"path": str(halves[0])}], **SETTINGS}
    assert builder.build(Fault(str(root), config)).error == ""
    assert add_to(root, halves[1])[0].generation == 2
    assert verify(root) == []


def test_an_unfinished_addition_stands_in_the_way_until_it_is_given_up(tmp_path, builder, halves):
    root = interrupted(tmp_path, builder, halves)
    before = Datastore.open(root).manifest
    other = write_lines(tmp_path / "other.jsonl", [{"text": "something else that is to be added"}])
    with pytest.raises(RalmError, match=r"begun with other settings .* `ralm discard"):
        add_to(root, other)
    with Layout(root).lock():
        assert discard(Layout(root), before) == "0001-add"
        assert discard(Layout(root), before) is None
    on_disk = {str(p.relative_to(root)) for p in (root / "passages").iterdir()}
    assert on_disk == {s.passages.path for s in before.shards}
    assert add_to(root, other)[1]["passages"] == 1
    assert verify(root) == []


def test_what_cannot_be_added_is_a_sentence(tmp_path, corpus, own_store):
    build_store(tmp_path / "graph", corpus, index_key="HNSW8,SQ8")
    with pytest.raises(RalmError, match="one graph over all passages and cannot be changed"):
        add_to(tmp_path / "graph", corpus)
    with pytest.raises(RalmError, match="There is no source"):
        add_to(own_store, tmp_path / "none.jsonl")
    with pytest.raises(RalmError, match="There is no datastore"):
        add_to(tmp_path / "nowhere", corpus)
    assert np.all([s.done == s.total for s in status(own_store).stages])
