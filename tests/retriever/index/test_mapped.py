from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.errors import RalmError
from datastore.view import View
from retriever.index import lists, mapped
from retriever.index.loading import in_memory, on_disk
from retriever.local import LocalRetriever
from retriever.opened import Opening
from retriever.ranking.setting import Setting
from tests.conftest import add_to, build_store, compact, delete
from tests.corpus import documents, write_lines
from tests.vectors import Drawn, dense, make_retriever, make_store, random_vectors

KEYS = (
    "IVF4,SQfp16",
    "IVF4,SQ8",
    "IVF4,PQ4x4",
    "IVF4,PQ8x4fs",
    "OPQ4_8,IVF4,PQ4x4fs",
    "IVF4,RaBitQ",
    "MRL6,IVF4,SQ8",
    "MRL4,IVF4,PQ4x4fs",
)


@dataclass(frozen=True)
class Indexed:
    """Vectors, and the key of the index that a store of them has."""

    drawn: Drawn
    key: str

    def store(self, root):
        return make_store(root, np.arange(self.drawn.count), self.drawn.vectors, self.key)


@settings(max_examples=30)
@given(
    indexed=st.builds(
        Indexed, st.builds(Drawn, st.integers(0, 10**6), st.integers(1, 90)), st.sampled_from(KEYS)
    ),
    nprobe=st.integers(1, 4),
    fraction=st.floats(0.05, 1),
    bulk=st.sampled_from([16, 100, 1 << 20]),
)
def test_lists_on_disk_give_what_lists_in_memory_give(tmp_path_factory, indexed, nprobe, fraction, bulk):
    store = indexed.store(tmp_path_factory.mktemp("mapped"))
    queries = indexed.drawn.queries(4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "_BULK_BYTES", bulk)
        mapped_there = on_disk(store.layout.root, store.manifest)
    loaded = in_memory(store.layout.root, store.manifest)
    assert (mapped_there.rows, mapped_there.nlist) == (loaded.rows, loaded.nlist)
    views, names = [View(), View(fraction)], ["0", "1", "2", "3"]
    found = [
        make_retriever(store, queries, index).search_many(names, views, dense(5, setting=Setting(nprobe, 10)))
        for index in (mapped_there, loaded)
    ]
    assert found[0] == found[1]


def test_a_store_is_searched_from_disk_by_name_and_stays_right_when_it_changes(tmp_path, corpus):
    root, queries = tmp_path / "s", ["which town makes blue glass?", "the river Mirn"]
    build_store(root, corpus, index_key="IVF4,SQ8", passages_per_shard=8)
    setting = Setting(4, 20)
    retriever = LocalRetriever.open(root, Opening(place="disk"))
    assert retriever.search(queries, dense(5, setting=setting)) == LocalRetriever.open(root).search(
        queries, dense(5, setting=setting)
    )
    more = write_lines(
        tmp_path / "more.jsonl", [{"id": "x", "text": "blue glass, as it is made in the town"}]
    )
    add_to(root, more)
    retriever = retriever.refreshed()
    assert retriever.search(queries[:1], dense(1, setting=setting))[0].hits[0].passage.doc_id == "x"
    delete(root, "x", *(d["id"] for d in documents()[::2]))
    compact(root)
    retriever = retriever.refreshed()
    assert retriever.search(queries, dense(5, setting=setting)) == LocalRetriever.open(root).search(
        queries, dense(5, setting=setting)
    )
    del retriever
    compact(root)
    assert [p.name for p in (root / "index" / "IVF4,SQ8").glob("lists.*")] == ["lists.2.bin"]


def test_a_file_of_another_index_or_a_cut_one_is_written_again(tmp_path):
    one = make_store(tmp_path / "one", np.arange(50), random_vectors(0, 50), "IVF4,SQ8")
    other = make_store(tmp_path / "other", np.arange(50), random_vectors(1, 50), "IVF4,SQ8")
    paths = [store.layout.lists("IVF4,SQ8", 0) for store in (one, other)]
    for store in (one, other):
        on_disk(store.layout.root, store.manifest)
    right = paths[0].read_bytes()
    for wrong in (paths[1].read_bytes(), right[:-5], b""):
        paths[0].write_bytes(wrong)
        on_disk(one.layout.root, one.manifest)
        assert paths[0].read_bytes() == right


@settings(max_examples=25)
@given(
    at=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
    key=st.sampled_from(["IVF4,SQ8", "IVF4,PQ4x4fs"]),
)
def test_a_flipped_bit_is_mended_when_the_file_is_opened(tmp_path_factory, at, bit, key):
    root = tmp_path_factory.mktemp("flipped")
    store = make_store(root, np.arange(60), random_vectors(0, 60), key)
    on_disk(root, store.manifest)
    path = store.layout.lists(key, 0)
    right = path.read_bytes()
    wrong = bytearray(right)
    wrong[int(at * len(wrong))] ^= 1 << bit
    path.write_bytes(wrong)
    on_disk(root, store.manifest)
    assert path.read_bytes() == right


def test_a_large_file_is_not_compared_and_its_damage_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "FULL_CHECK_BYTES", 0)
    store = make_store(tmp_path, np.arange(60), random_vectors(0, 60), "IVF4,SQ8")
    on_disk(tmp_path, store.manifest)
    path = store.layout.lists("IVF4,SQ8", 0)
    data = bytearray(path.read_bytes())
    # The ids of the first list stand behind its codes: one becomes another's, far beyond the last row.
    first = int(np.frombuffer(data[-(4 * 8 + 64) :][:8], np.uint64)[0])
    data[first * 8 + 6] = 1
    path.write_bytes(data)
    index = on_disk(tmp_path, store.manifest)
    with pytest.raises(RalmError, match=r"lists\.0\.bin is damaged: delete it and open the store again"):
        index.search(index.assign(random_vectors(1, 3).astype(np.float32)), 60)
