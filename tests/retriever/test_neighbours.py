import shutil
from itertools import groupby

import pytest

from datastore.view import View
from retriever.local import LocalRetriever
from retriever.results import Hit
from retriever.several import SeveralRetriever
from tests.conftest import delete
from tests.corpus import long_documents


def hits_of(retriever, name=""):
    store = retriever.stores[name].store
    return [Hit(row, 1.0, passage, 1, name) for row, passage in enumerate(store)]


@pytest.mark.parametrize("view", [View(), View(0.7, 1), View(0.4, 2)])
def test_a_hit_is_widened_by_its_documents_chunks_in_the_view_as_far_as_there_is_no_gap(long_store, view):
    retriever = LocalRetriever.open(long_store)
    hits = hits_of(retriever)
    kept = retriever.store.mask(view)
    documents = {name: list(some) for name, some in groupby(hits, key=lambda hit: hit.passage.doc_id)}
    assert min(map(len, documents.values())) > 6
    for hit in hits:
        if not kept[hit.row]:
            continue
        mine = documents[hit.passage.doc_id]
        for reach in (0, 1, 3, 50):
            found = retriever.around(hit, reach, view)
            first = last = hit.passage.chunk
            while first > max(0, hit.passage.chunk - reach) and kept[mine[first - 1].row]:
                first -= 1
            while last < min(len(mine) - 1, hit.passage.chunk + reach) and kept[mine[last + 1].row]:
                last += 1
            assert found == tuple(one.passage for one in mine[first : last + 1])


def test_a_text_is_read_as_it_lay_across_shards(long_store):
    retriever = LocalRetriever.open(long_store)
    (hit,) = [hit for hit in hits_of(retriever) if hit.passage.chunk == 3][:1]
    text = long_documents()[0]["text"]
    for one in retriever.around(hit, 50):
        assert text[one.start :].startswith(one.text)


def test_a_document_that_is_taken_down_is_not_beside_another(tmp_path, long_store):
    root = shutil.copytree(long_store, tmp_path / "s")
    before = LocalRetriever.open(root)
    name = long_documents()[1]["id"]
    left = [hit for hit in hits_of(before) if hit.passage.doc_id != name]
    delete(root, name)
    for retriever in (LocalRetriever.open(root), before.hiding()):
        for hit in left:
            assert retriever.around(hit, 4) == before.around(hit, 4)


def test_of_several_stores_each_widens_its_own_hits(store, long_store):
    parts = {"short": LocalRetriever.open(store), "long": LocalRetriever.open(long_store)}
    several = SeveralRetriever(parts)
    for name, part in parts.items():
        for mine, its in zip(hits_of(several, name), hits_of(part), strict=True):
            assert several.around(mine, 2) == part.around(its, 2)
    # The view names a domain of one of them alone.
    (first, *_) = hits_of(several, "long")
    assert several.around(first, 1, View(domains=("book",))) == several.around(first, 1)
