"""A store that is served goes on without what later generations take down, whether these open or not."""

import orjson
import pytest

from base.errors import RalmError
from datastore.files.json import to_json
from datastore.files.layout import Layout
from datastore.files.writing import checksum_of
from retriever.local import LocalRetriever
from retriever.request import Method, Search
from retriever.several import SeveralRetriever
from tests.conftest import add_to, compact, delete, flip
from tests.corpus import documents, write_lines
from tests.vectors import dense

ASKED = ["which town makes blue glass?", "how is the mayor chosen"]
METHODS = [Method("dense"), Method("bm25"), Method("hybrid")]


def shown(retriever, method, k=60):
    """What a search finds: everything but the generation that it was found in."""
    return [
        [(hit.row, hit.score, hit.passage) for hit in r.hits]
        for r in retriever.search(ASKED, Search(k, method=method))
    ]


@pytest.mark.parametrize("folder", ["deleted", "takedowns", "manifests"])
@pytest.mark.parametrize("members", [1, 2])
def test_what_is_taken_down_is_hidden_though_its_generation_does_not_open(own_store, store, folder, members):
    before = LocalRetriever.open(own_store)
    if members == 2:
        before = SeveralRetriever({"own": before, "whole": LocalRetriever.open(store)})
    assert before.hiding() is before
    gone = before.search(ASKED, dense(1))[0].hits[0].passage.doc_id
    delete(own_store, gone, documents()[20]["id"])
    after = before.refreshed()
    for path in (own_store / folder).glob("*00002.*"):
        flip(path, path.stat().st_size // 2)
    with pytest.raises(RalmError, match=r"is corrupted|is missing or damaged"):
        before.refreshed()
    found = before.hiding()
    assert found.hash == before.hash
    assert found.hiding() is found
    for method in METHODS:
        assert shown(found, method) == shown(after, method)
    if members == 1:
        assert gone not in {hit.passage.doc_id for hit in found.search(ASKED, dense(60))[0].hits}
        assert found.index is before.index
        assert found.encoder is before.encoder
    # Who began with the first goes on with it.
    assert before.search(ASKED, dense(1))[0].hits[0].passage.doc_id == gone


def test_rows_are_hidden_though_shards_were_compacted_or_added(own_store, tmp_path):
    before = LocalRetriever.open(own_store)
    gone = before.search(ASKED, dense(1))[0].hits[0].passage.doc_id
    delete(own_store, gone)
    compact(own_store)
    more = [{"id": f"x{n}", "text": f"a document of some length, number {n}"} for n in range(9)]
    manifest, _ = add_to(own_store, write_lines(tmp_path / "more.jsonl", more))
    delete(own_store, documents()[30]["id"])
    flip(own_store / manifest.shards[-1].passages.path)
    with pytest.raises(RalmError, match="is corrupted"):
        before.refreshed()
    found = before.hiding()
    assert found.hiding() is found
    left = {d["id"] for d in documents()} - {gone, documents()[30]["id"]}
    for method in METHODS[:1]:
        assert {passage.doc_id for _, _, passage in shown(found, method)[0]} == left


def test_a_store_whose_manifest_this_ralm_would_write_otherwise_is_opened_once(own_store):
    layout = Layout(own_store)
    # As if `taken_down` of shards, and `deleted`, had come later: an early store has neither.
    written = orjson.loads(layout.manifest(1).read_bytes())
    for shard in written["shards"]:
        del shard["taken_down"], shard["deleted"]
    data = to_json(written)
    layout.manifest(1).write_bytes(data)
    pointer = orjson.loads(layout.pointer.read_bytes())
    layout.pointer.write_bytes(to_json(pointer | {"xxh3": checksum_of(data)}))
    opened = LocalRetriever.open(own_store)
    assert opened.store.manifest.to_bytes() != data
    assert opened.refreshed() is opened
    assert opened.hiding() is opened
    delete(own_store, documents()[20]["id"])
    after = opened.refreshed()
    assert after is not opened
    assert after.refreshed() is after
