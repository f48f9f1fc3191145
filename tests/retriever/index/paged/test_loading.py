import numpy as np
import pytest
import torch

from base.errors import RalmError
from retriever.index.loading import load
from retriever.index.paged import loading
from retriever.index.paged.index import PagedIndex
from retriever.index.paged.loading import paged
from retriever.index.sizing import IndexKey
from tests.vectors import drawn_index, make_store, random_vectors

pytestmark = pytest.mark.usefixtures("one_thread")


def test_without_a_gpu_the_mend_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    store = make_store(tmp_path, np.arange(50), random_vectors(0, 50), "IVF4,PQ4x4fs")
    with pytest.raises(RalmError, match="PyTorch finds no GPU"):
        load(tmp_path, store.manifest, device="cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("key", ["IVF4,PQ4x4", "IVF4,PQ8x4fs", "OPQ4_8,IVF4,PQ4x4fs", "MRL6,IVF4,PQ3x4"])
def test_a_stores_codes_are_searched_on_a_gpu(tmp_path, key):
    store = make_store(tmp_path, np.arange(400), random_vectors(0, 400), key)
    there, here = load(tmp_path, store.manifest, device="cuda"), load(tmp_path, store.manifest)
    assert (type(there), there.rows, there.nlist) == (PagedIndex, 400, 4)
    queries = random_vectors(1, 40).astype(np.float32)
    ours, theirs = (index.search(index.assign(queries, 4), 30)[1] for index in (there, here))
    # Fast scan rounds its tables to 8 bits.
    assert np.mean([len({*a} & {*b}) / 30 for a, b in zip(ours, theirs, strict=True)]) > 0.85


@pytest.mark.parametrize("key", ["IVF64,SQ8", "IVF64,PQ4x8fs"])
def test_codes_that_do_not_lie_in_pages_are_a_sentence(key):
    if key.endswith("fs"):
        with pytest.raises(RalmError, match="Unknown index key"):
            IndexKey.parse(key)
        return
    with pytest.raises(RalmError, match="choose PQ codes of 4 or 8 bits"):
        paged(drawn_index(key), IndexKey.parse(key), [], [torch.device("cpu")])


@pytest.mark.parametrize(
    ("key", "there"), [("PQ16", True), ("PQ8x4fs", True), ("SQ8", False), ("RaBitQ", False)]
)
def test_keys_say_what_lies_in_pages(key, there):
    assert IndexKey.parse(f"IVF64,{key}").in_pages == there


@pytest.mark.parametrize("cargo", [3, 10, 1000])
def test_every_row_of_every_shard_is_read_once(monkeypatch, cargo):
    monkeypatch.setattr(loading, "_CARGO", cargo)
    codes = np.arange(120, dtype=np.uint8).reshape(60, 2)
    shards = [(120, codes[20:]), (100, codes[:20])]
    for rows in ((100, 160), (100, 107), (115, 131), (130, 160), (110, 110)):
        found = [block.numpy() for block in loading._read(shards, rows, pinned=False)]
        assert np.array_equal(
            np.concatenate([np.empty((0, 2)), *found]), codes[rows[0] - 100 : rows[1] - 100]
        )


def test_a_device_too_small_is_a_sentence(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(loading, "Part", full)
    with pytest.raises(RalmError, match="too little memory free for 0 codes"):
        paged(drawn_index("IVF64,PQ4"), IndexKey.parse("IVF64,PQ4"), [], [torch.device("cpu")])


def test_codes_of_a_list_that_is_not_there_are_damage():
    codes = np.zeros((20, 5), np.uint8)  # A byte of the list, four of its code.
    shards, key = [(0, codes)], IndexKey.parse("IVF64,PQ4")
    assert paged(drawn_index("IVF64,PQ4"), key, shards, [torch.device("cpu")]).rows == 20
    codes[7, 0] = 64
    with pytest.raises(RalmError, match=r"a list beyond its 64: `ralm verify` says"):
        paged(drawn_index("IVF64,PQ4"), key, shards, [torch.device("cpu")])


@pytest.mark.parametrize(("free", "enough"), [(2 << 30, False), (4 << 30, True)])
def test_room_to_search_in_is_left(monkeypatch, free, enough):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 80 << 30))
    loading._require_spare(torch.device("cpu"))
    if enough:
        loading._require_spare(torch.device("cuda", 0))
    else:
        with pytest.raises(torch.OutOfMemoryError):
            loading._require_spare(torch.device("cuda", 0))
