import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from datastore.shard import open_array
from retriever.index import lists
from retriever.index.faiss_index import as_fast_scan, lists_of
from retriever.index.lists import ListedCodes, ListPlan, Memory, fill, in_blocks, in_bulk
from tests.vectors import make_store, random_vectors, trained


def test_codes_are_loaded_in_bulk_each_with_its_row():
    codes = np.random.default_rng(0).integers(0, 256, (60, 3), np.uint8)
    shards = [(100 + at, codes[at:end]) for at, end in ((0, 4), (4, 7), (7, 31), (31, 31), (31, 36))]
    bulks = list(in_bulk(shards, 30))
    assert [len(some) for _, some in bulks] == [17, 10, 9]
    assert (np.concatenate([some for _, some in bulks]) == codes[:36]).all()
    assert (np.concatenate([rows for rows, _ in bulks]) == np.arange(100, 136)).all()


def given_codes(root, key, rows=90):
    """The trained index of a key, and the codes of a store of it."""
    store = make_store(root, np.arange(rows), random_vectors(0, rows), key)
    ivf = lists_of(faiss.deserialize_index(np.frombuffer(trained(key), np.uint8)))
    return ivf, ListedCodes.of(ivf, root, store.manifest)


@pytest.mark.parametrize("bulk", [1, 100, 1 << 20])
@pytest.mark.parametrize("key", ["IVF4,SQ8", "IVF300,SQ8"])
def test_every_code_comes_once_in_its_list_and_in_row_order(tmp_path, monkeypatch, key, bulk):
    """Numbers of up to 256 lists take one byte of a code, those of 300 two."""
    monkeypatch.setattr(lists, "_BULK_BYTES", bulk)
    ivf, codes = given_codes(tmp_path, key)
    assert codes.width == (1 if key == "IVF4,SQ8" else 2)
    peer = faiss.clone_index(ivf)
    every = np.concatenate([open_array(tmp_path / s.codes.path) for s in codes.manifest.shards])
    peer.add_sa_codes(every, np.arange(len(every)))
    found = [([], []) for _ in range(codes.nlist)]
    for piece in codes.pieces():
        ids, bodies = found[piece.number]
        assert piece.at == len(ids)
        ids.extend(piece.ids.tolist())
        bodies.extend(map(bytes, piece.codes))
    assert codes.sizes().tolist() == [len(ids) for ids, _ in found]
    for number, (ids, bodies) in enumerate(found):
        size = peer.invlists.list_size(number)
        theirs = faiss.rev_swig_ptr(peer.invlists.get_ids(number), size) if size else []
        assert ids == list(theirs)
        assert bodies == [every[row, codes.width :].tobytes() for row in ids]


@given(
    sizes=st.lists(st.integers(0, 100), min_size=1, max_size=9), each=st.integers(1, 70), blocks=st.booleans()
)
def test_lists_lie_one_behind_the_other_with_room_for_their_blocks(sizes, each, blocks):
    plan = ListPlan(np.array(sizes, np.int64), each, blocks)
    starts = plan.starts
    assert (starts % 64 == 0).all()
    assert plan.bytes == starts[-1]
    for size, room, start, end in zip(sizes, plan.capacities, starts, starts[1:], strict=False):
        assert room == (-(-size // 32) * 32 if blocks else size)
        # The codes with what fills the last block up, then the ids, and less than an alignment of nothing.
        assert 0 <= end - start - room * each - size * 8 < 64
    laid_out = plan.lists()
    assert [laid_out.list_size(n) for n in range(len(sizes))] == sizes


@pytest.mark.parametrize("size", [1, 31, 32, 33, 70])
def test_codes_are_laid_into_blocks_as_a_fast_scan_index_lays_them(tmp_path, size):
    ivf, _ = given_codes(tmp_path, "IVF4,PQ4x4fs")
    codes = np.random.default_rng(0).integers(0, 256, (size, ivf.code_size), np.uint8)
    ivf.invlists.add_entries(2, size, faiss.swig_ptr(np.arange(size)), faiss.swig_ptr(codes.ravel()))
    ivf.ntotal = size
    laid = in_blocks(ivf, codes)
    assert len(laid) == -(-size // 32) * 32 * ivf.code_size
    theirs = as_fast_scan(ivf)
    assert (laid == faiss.rev_swig_ptr(theirs.invlists.get_codes(2), len(laid))).all()


def test_lists_that_are_filled_hold_what_faiss_would_have_put_there(tmp_path):
    ivf, codes = given_codes(tmp_path, "IVF4,SQ8")
    peer = faiss.clone_index(ivf)
    for shard in codes.manifest.shards:
        its = open_array(tmp_path / shard.codes.path)
        peer.add_sa_codes(np.array(its), np.arange(shard.first_row, shard.first_row + shard.rows))
    fill(ivf, codes, int(ivf.code_size), blocks=False)
    assert ivf.ntotal == peer.ntotal == 90
    queries = random_vectors(1, 5).astype(np.float32)
    for index in (ivf, peer):
        index.nprobe = 4
    for ours, theirs in zip(ivf.search(queries, 20), peer.search(queries, 20), strict=True):
        assert (ours == theirs).all()


def test_an_index_without_a_code_is_filled_with_nothing(tmp_path):
    ivf, codes = given_codes(tmp_path, "IVF4,SQ8")
    empty = ListedCodes(tmp_path, codes.manifest.model_copy(update={"shards": ()}), codes.nlist, codes.width)
    assert list(empty.pieces()) == []
    fill(ivf, empty, int(ivf.code_size), blocks=False)
    assert ivf.ntotal == 0
    _, rows = ivf.search(np.ones((1, 8), np.float32), 3)
    assert (rows == -1).all()


def test_memory_that_cannot_be_had_is_a_sentence():
    with pytest.raises(RalmError, match="cannot be had: search with --index-in disk"):
        Memory(1 << 62)
