import gc
import weakref

import faiss
import numpy as np
import pytest
import torch

from base.errors import RalmError
from retriever.index import gpu, gpu_copy
from retriever.index.code_index import Assigned
from retriever.index.faiss_index import SearchIndex, encode
from retriever.index.gpu import Gpus, GpuSearchIndex, grouped, needs_wide_ids, search_copies
from retriever.index.sizing import IndexKey
from tests.vectors import drawn_index, embeddings

pytestmark = pytest.mark.usefixtures("one_thread")


class Counting:
    """A copy of codes that notes how many queries it was asked, and finds their first component."""

    def __init__(self):
        self.asked = []

    def search(self, queries, k):
        self.asked.append(len(queries))
        rows = queries.vectors[:, :1].astype(np.int64)
        return lambda: (queries.vectors[:, :1], rows)


@pytest.mark.parametrize(
    ("count", "asked"),
    [(63, [[], [63], []]), (64, [[21], [21], [22]]), (65, [[21], [22], [22]]), (0, [[], [0], []])],
)
def test_copies_share_many_queries_and_take_turns_with_few(count, asked):
    copies = [Counting() for _ in range(3)]
    vectors = np.arange(count, dtype=np.float32)[:, None]
    scores, rows = search_copies(copies, 4, Assigned(vectors, 0, None, None), 1)
    assert [copy.asked for copy in copies] == asked
    assert (scores == vectors).all()
    assert (rows == vectors).all()


def test_a_turn_comes_to_every_copy():
    copies = [Counting(), Counting()]
    for turn in range(5):
        search_copies(copies, turn, Assigned(np.zeros((3, 1), np.float32), 0, None, None), 1)
    assert [copy.asked for copy in copies] == [[3, 3, 3], [3, 3]]


@pytest.mark.parametrize(
    ("devices", "least", "groups"),
    [
        (1, 1, ["0"]),
        (3, 1, ["0", "1", "2"]),
        (3, 2, ["012"]),
        (4, 2, ["01", "23"]),
        (5, 2, ["01", "23"]),
        (8, 3, ["0123", "4567"]),
        (2, 5, ["01"]),
    ],
)
def test_copies_take_equal_groups_of_gpus(devices, least, groups):
    found = grouped(range(devices), least)
    assert ["".join(map(str, group)) for group in found] == groups


def test_ids_are_wide_where_a_row_needs_it():
    codes = np.zeros((10, 2), np.uint8)
    assert not needs_wide_ids([])
    assert not needs_wide_ids([(0, codes), ((1 << 31) - 10, codes)])
    assert needs_wide_ids([((1 << 31) - 9, codes), (0, codes)])


def test_without_faiss_gpu_the_mend_is_named(monkeypatch):
    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)
    with pytest.raises(RalmError, match=r"install ralm\[gpu\]"):
        GpuSearchIndex(drawn_index("IVF8,PQ4"), IndexKey.parse("IVF8,PQ4"), [])


def both(key, by_residual=True, rows=20_000, gpus_a_copy=1):
    """An index on one GPU or two, in copies or parts, and a CPU's, over the same codes."""
    index = drawn_index(key, by_residual, dimension=32)
    codes = encode(index, embeddings(rows, 2, 32))
    shards = [(at, codes[at : at + 3000]) for at in range(0, rows, 3000)]
    gpus = Gpus((0, torch.cuda.device_count() - 1), gpus_a_copy)
    on_gpu = GpuSearchIndex(index, IndexKey.parse(key), shards, gpus)
    inner = faiss.extract_index_ivf(index)
    inner.add_sa_codes(codes, np.arange(rows))
    index.ntotal = rows
    return on_gpu, SearchIndex(index, IndexKey.parse(key))


@pytest.mark.gpu
@pytest.mark.parametrize("by_residual", [True, False])
@pytest.mark.parametrize("key", ["IVF64,PQ16", "IVF64,PQ16x4", "OPQ8,IVF64,PQ8", "IVF64,SQ8", "IVF64,SQfp16"])
def test_a_gpu_finds_what_a_cpu_finds(monkeypatch, key, by_residual):
    monkeypatch.setattr(gpu_copy, "_BULK_BYTES", 50_000)
    on_gpu, on_cpu = both(key, by_residual)
    queries = embeddings(200, 3, 32).astype(np.float32)
    assigned, peer = on_gpu.assign(queries, 8), on_cpu.assign(queries, 8)
    assert np.mean(assigned.lists == peer.lists) > 0.99
    assert np.allclose(assigned.vectors, peer.vectors, atol=1e-5)
    scores, rows = on_gpu.search(assigned, 50)
    expected, theirs = on_cpu.search(peer, 50)
    assert rows.shape == theirs.shape
    assert np.mean([len({*a} & {*b}) / 50 for a, b in zip(rows, theirs, strict=True)]) > 0.97
    # A query may probe another eighth list: float16 rounds centroids.
    assert np.abs(scores - expected).mean() < 0.002
    assert (np.diff(scores, axis=1) <= 0).all()
    one, its = on_gpu.search(on_gpu.assign(queries, 8)[np.array([5])], 50)
    assert (its == rows[5]).mean() > 0.95
    assert np.allclose(one, scores[5], atol=0.01)


@pytest.mark.gpu
@pytest.mark.parametrize("by_residual", [True, False])
@pytest.mark.parametrize("key", ["IVF64,PQ16", "IVF64,PQ16x4", "IVF64,SQ8", "IVF64,SQfp16"])
def test_copies_and_parts_of_copies_find_what_one_gpu_finds(monkeypatch, key, by_residual):
    monkeypatch.setattr(gpu, "_SHARED", 10)
    monkeypatch.setattr(gpu_copy, "_MANY", 3000)
    index = drawn_index(key, by_residual, dimension=32)
    shards = [(7, encode(index, embeddings(9000, 2, 32))), (9007, encode(index, embeddings(900, 4, 32)))]
    queries = embeddings(100, 3, 32).astype(np.float32)
    found = []
    for count, parts in ((1, 1), (2, 1), (3, 1), (2, 2), (3, 3), (4, 2)):
        gpus = Gpus([n % torch.cuda.device_count() for n in range(count)], parts)
        on_gpu = GpuSearchIndex(index, IndexKey.parse(key), shards, gpus)
        assert len(on_gpu._copies) == count // parts
        asked = [queries[:1], queries[1:2], queries[2:11], queries[2:12], queries]
        found.append([on_gpu.search(on_gpu.assign(q, nprobe), 50) for q in asked for nprobe in (1, 8, 64)])
    for several in found[1:]:
        for (scores, rows), (others, theirs) in zip(found[0], several, strict=True):
            assert (scores == others).all()
            # Of equal scores the last may be another.
            same = [np.isin(a, b) for a, b in zip(rows, theirs, strict=True)]
            assert (same | (scores == scores[:, -1:])).all()


@pytest.mark.gpu
@pytest.mark.parametrize("gpus_a_copy", [1, 2])
def test_where_lists_hold_too_few_rows_the_rest_is_minus_one(gpus_a_copy):
    on_gpu, on_cpu = both("IVF64,PQ16", rows=2000, gpus_a_copy=gpus_a_copy)
    queries = embeddings(20, 3, 32).astype(np.float32)
    _, rows = on_gpu.search(on_gpu.assign(queries, 1), 500)
    _, theirs = on_cpu.search(on_cpu.assign(queries, 1), 500)
    assert (rows[:, -1] < 0).any()
    assert ((rows >= 0).sum(1) == (theirs >= 0).sum(1)).all()
    assert (np.diff((rows >= 0).astype(int), axis=1) <= 0).all()


@pytest.mark.gpu
@pytest.mark.parametrize("gpus_a_copy", [1, 2])
def test_searching_is_safe_between_threads(gpus_a_copy):
    from concurrent.futures import ThreadPoolExecutor

    on_gpu, _ = both("IVF64,PQ16", gpus_a_copy=gpus_a_copy)
    queries = embeddings(200, 3, 32).astype(np.float32)
    asked = [queries[n : n + size] for n in range(0, 100, 5) for size in (1, 3, 100)]
    alone = [on_gpu.search(on_gpu.assign(some, 8), 20)[1] for some in asked]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda some: on_gpu.search(on_gpu.assign(some, 8), 20)[1], asked))
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))


@pytest.mark.gpu
def test_the_hosts_lists_are_freed_once_they_are_on_the_gpus(monkeypatch):
    made = []
    sort = gpu_copy.GpuCopy.sort

    def sorting(copy, shards):
        lists = sort(copy, shards)
        made.extend(weakref.ref(its) for its in lists)
        return lists

    monkeypatch.setattr(gpu_copy.GpuCopy, "sort", sorting)
    on_gpu, _ = both("IVF64,PQ16", gpus_a_copy=2)
    gc.collect()
    assert [its() for its in made] == [None, None]
    assigned = on_gpu.assign(embeddings(5, 3, 32).astype(np.float32), 64)
    assert (on_gpu.search(assigned, 50)[1] >= 0).all()


@pytest.mark.gpu
@pytest.mark.parametrize("key", ["IVF64,PQ16", "IVF64,SQ8", "IVF1,PQ16"])
def test_rows_beyond_what_32_bits_count_are_found(key):
    index = drawn_index(key, dimension=32)
    codes = encode(index, embeddings(500, 2, 32))
    queries = embeddings(10, 3, 32).astype(np.float32)
    found = []
    for first in (0, 1 << 31):
        on_gpu = GpuSearchIndex(index, IndexKey.parse(key), [(first, codes)])
        found.append(on_gpu.search(on_gpu.assign(queries), 20))
    assert (found[0][0] == found[1][0]).all()
    assert (found[0][1] + (1 << 31) == found[1][1]).all()


@pytest.mark.gpu
def test_no_rows_are_found_among_none():
    on_gpu = GpuSearchIndex(drawn_index("IVF8,PQ4"), IndexKey.parse("IVF8,PQ4"), [])
    dimension = drawn_index("IVF8,PQ4").d
    assigned = on_gpu.assign(embeddings(3, 3, dimension).astype(np.float32), 4)
    assert [part.shape for part in on_gpu.search(assigned, 10)] == [(3, 0), (3, 0)]


@pytest.mark.gpu
@pytest.mark.parametrize(("key", "most"), [("IVF64,PQ16", 2048), ("IVF64,SQ8", 512), ("IVF64,SQfp16", 512)])
def test_a_gpu_searches_as_deep_as_it_can_and_the_host_beyond(key, most):
    on_gpu, on_cpu = both(key, rows=6000)
    assigned = on_gpu.assign(embeddings(3, 3, 32).astype(np.float32), 64)
    assert ((on_gpu.search(assigned, most)[1] >= 0).sum(axis=1) == most).all()
    with pytest.raises(RalmError, match=f"without k {most + 1}"):
        on_gpu.search(assigned, most + 1)
    on_gpu._load_on_host = lambda: on_cpu
    assert ((on_gpu.search(assigned, most + 1)[1] >= 0).sum(axis=1) == most + 1).all()


@pytest.mark.gpu
def test_what_a_gpu_cannot_search_goes_to_the_host():
    on_gpu, on_cpu = both("IVF64,PQ16x4", rows=6000)
    on_gpu._load_on_host = lambda: on_cpu
    assigned = on_gpu.assign(embeddings(5, 3, 32).astype(np.float32), 64)
    _, rows = on_gpu.search(assigned, 3000)
    assert ((rows >= 0).sum(axis=1) == 3000).all()
    bits = np.packbits(np.arange(6000) % 2 == 0, bitorder="little")
    _, even = on_gpu.search(assigned, 10, faiss.IDSelectorBitmap(bits))
    assert (even % 2 == 0).all()
    assert (even == np.array([row[row % 2 == 0][:10] for row in rows])).mean() > 0.9


@pytest.mark.gpu
def test_what_a_gpu_cannot_search_is_a_sentence():
    on_gpu, _ = both("IVF64,PQ16", rows=3000)
    queries = embeddings(2, 3, 32).astype(np.float32)
    assigned = on_gpu.assign(queries, 64)
    with pytest.raises(RalmError, match="without k 2049"):
        on_gpu.search(assigned, 2049)
    with pytest.raises(RalmError, match="without a selector"):
        on_gpu.search(assigned, 10, faiss.IDSelectorAll())
    bits = faiss.index_factory(20, "IVF8,RaBitQ", faiss.METRIC_INNER_PRODUCT)
    bits.train(embeddings(500).astype(np.float32))
    shard = (0, encode(bits, embeddings(10)))
    with pytest.raises(RalmError, match="has no form on GPUs"):
        GpuSearchIndex(bits, IndexKey.parse("IVF8,RaBitQ"), [shard])
