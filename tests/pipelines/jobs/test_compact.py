"""Compacting: the same passages and answers in fewer files."""

import shutil

import pytest

from datastore.files.layout import Layout
from datastore.generations.generation import current
from datastore.store import Datastore
from datastore.verify import verify
from pipelines.jobs.status import status
from retriever.local import LocalRetriever
from retriever.ranking.setting import Setting
from retriever.request import Method, Search
from tests.conftest import add_to, build_store, compact, delete, tree
from tests.corpus import documents, write_lines
from tests.faults import Fault
from tests.vectors import dense

DOCUMENTS = documents()
QUERIES = ["which town makes blue glass?", "how is the mayor chosen", "the river Mirn"]


def found(root):
    retriever = LocalRetriever.open(root)
    setting = Setting(min(4, retriever.index.nlist), 20)
    rankings = retriever.search(QUERIES, dense(12, setting=setting))
    return [[(h.score, h.passage) for h in r.hits] for r in rankings]


@pytest.mark.parametrize("key", ["Flat", "IVF4,SQ8", "IVF2,PQ96x4fs"])
def test_a_search_finds_the_same_after_compacting(tmp_path, corpus, key):
    root = tmp_path / "s"
    build_store(root, corpus, split_bytes=4096, passages_per_shard=8, index_key=key)
    gone = [d["id"] for d in DOCUMENTS[::3]]
    before = delete(root, *gone)
    hidden, size = found(root), bytes_of(root)
    manifest, swept = compact(root)
    assert (manifest.generation, manifest.edition) == (3, 1)
    assert manifest.rows == manifest.passages == before.passages == len(DOCUMENTS) - len(gone)
    assert manifest.counts["removed.taken_down"] == len(gone)
    assert len(manifest.shards) < len(before.shards)
    assert manifest.domains == before.domains
    assert verify(root) == []
    assert found(root) == hidden
    assert swept.bytes > 0
    assert bytes_of(root) < size
    assert not any(DOCUMENTS[0]["text"].encode() in data for path, data in tree(root).items())
    # A takedown survives it.
    assert add_to(root, corpus)[1]["removed.taken_down"] == len(gone)


@pytest.mark.parametrize("method", [Method("bm25"), Method("hybrid")])
def test_words_find_the_same_after_compacting(own_store, method):
    delete(own_store, *(d["id"] for d in DOCUMENTS[::3]))
    before = LocalRetriever.open(own_store)
    compact(own_store)
    found = [
        [
            [(hit.passage.key, hit.score) for hit in one.hits]
            for one in retriever.search(QUERIES, Search(20, method=method))
        ]
        for retriever in (before, before.refreshed())
    ]
    assert found[0] == found[1]


def bytes_of(root):
    return sum(
        p.stat().st_size for name in ("passages", "vectors", "index") for p in (root / name).rglob("*")
    )


def test_it_is_what_a_build_without_those_documents_shows(tmp_path, corpus, own_store):
    """A takedown survives a rebuild too: it is carried over from the old store."""
    gone = [d["id"] for d in DOCUMENTS[5:14]]
    delete(own_store, *gone)
    compact(own_store)
    rebuilt = build_store(tmp_path / "again", corpus, takedowns=str(own_store), **{"passages_per_shard": 8})
    assert rebuilt.counts["removed.taken_down"] == len(gone)
    assert list(Datastore.open(tmp_path / "again")) == list(Datastore.open(own_store))
    assert found(tmp_path / "again") == found(own_store)
    assert add_to(tmp_path / "again", corpus)[1]["removed.taken_down"] == len(gone)


def test_a_reader_keeps_its_generation_until_it_is_done(own_store):
    delete(own_store, *(d["id"] for d in DOCUMENTS[:6]))
    reader = LocalRetriever.open(own_store)
    expected = reader.search(QUERIES, dense(5))
    manifest, swept = compact(own_store)
    assert swept.open == (2,)
    assert reader.search(QUERIES, dense(5)) == expected
    assert list(LocalRetriever.open(own_store).store) == list(reader.store)
    del reader
    again, freed = compact(own_store)
    assert again == manifest
    assert freed.open == ()
    assert freed.bytes > 0


def test_a_store_of_which_nothing_is_left_is_still_a_store(own_store, tmp_path):
    delete(own_store, *(d["id"] for d in DOCUMENTS))
    assert not LocalRetriever.open(own_store).search(QUERIES, dense(3))[0].hits
    manifest, _ = compact(own_store)
    assert manifest.shards == ()
    assert verify(own_store) == []
    assert LocalRetriever.open(own_store).search(QUERIES, dense(3))[0].exhausted
    more = write_lines(
        tmp_path / "more.jsonl", [{"id": "x", "text": "a first document after all the others"}]
    )
    assert add_to(own_store, more)[0].passages == 1
    assert LocalRetriever.open(own_store).search(QUERIES, dense(3))[0].hits[0].passage.doc_id == "x"


POINTS = {
    "settings": "stages/0001-compact/build.json",
    "passages": "passages/*.arrow",
    "vectors": "vectors/*.npy",
    "words": "lexical/*.weights.npy",
    "marker": "stages/0001-compact/compact/00001.json",
    "card": "index/*/card.1.json",
    "manifest": "manifests/000003.json",
    "pointer": "manifest.json",
}


@pytest.fixture
def twins(tmp_path, store):
    """Two copies of a store to be compacted: one undisturbed, one killed."""
    roots = [tmp_path / "undisturbed", tmp_path / "killed"]
    for root in roots:
        shutil.copytree(store, root)
        delete(root, *(d["id"] for d in DOCUMENTS[::4]))
    return roots


def killed_and_resumed(builder, roots, when, file, between):
    assert builder.build(Fault(str(roots[0]))).error == ""
    killed = builder.build(Fault(str(roots[1]), when=when, point=POINTS[file]))
    assert killed.signal == 9, killed
    assert verify(roots[1]) == []
    if between:
        delete(roots[1], DOCUMENTS[1]["id"])
    if (when, file) != ("after", "pointer"):
        assert status(roots[1]).unfinished == "compact" or (when, file) == ("before", "settings")
    assert builder.build(Fault(str(roots[1]))).error == ""
    assert verify(roots[1]) == []
    shown = [p.doc_id for p in Datastore.open(roots[1])]
    assert shown == [d["id"] for n, d in enumerate(DOCUMENTS) if n % 4 and not (between and n == 1)]
    if not between:
        assert current(Layout(roots[1])) == current(Layout(roots[0]))


@pytest.mark.parametrize("between", [False, True])
def test_a_killed_compaction_goes_on(builder, twins, between):
    killed_and_resumed(builder, twins, "after", "marker", between)


@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("file", POINTS)
def test_killed_at_every_point(builder, twins, when, file):
    killed_and_resumed(builder, twins, when, file, False)
