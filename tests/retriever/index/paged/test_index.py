import faiss
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from base.errors import Unavailable
from datastore.shard import open_array
from datastore.takedown import Takedown, Takedowns, take_down
from datastore.view import View
from retriever.index.code_index import Assigned
from retriever.index.faiss_index import SearchIndex, encode, read_trained
from retriever.index.paged import index as paged_index
from retriever.index.paged.loading import paged
from retriever.index.sizing import IndexKey
from retriever.ranking.setting import Setting
from tests.vectors import Drawn, dense, drawn_index, embeddings, make_retriever, make_store, passage

pytestmark = pytest.mark.usefixtures("one_thread")
KEYS = ["IVF64,PQ16", "IVF64,PQ16x4", "IVF64,PQ6", "OPQ8,IVF64,PQ8", "MRL16,IVF64,PQ8x4fs"]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(autouse=True)
def _several_parts(monkeypatch):
    monkeypatch.setattr("retriever.index.paged.loading._ROWS_A_DEVICE", 20)


def places(device, parts=2):
    count = torch.cuda.device_count() if device == "cuda" else 1
    return [torch.device(device, n % count) for n in range(parts)]


def both(key, by_residual, device, parts=2):
    """A paged index and FAISS's on a CPU, over the same codes."""
    dimension = 24 if key == "IVF64,PQ6" else 32
    index = drawn_index(key, by_residual, dimension)
    codes = encode(index, embeddings(4000, 2, dimension))
    shards = [(at, codes[at : at + 700]) for at in range(0, 4000, 700)]
    found = paged(index, IndexKey.parse(key), shards, places(device, parts))
    faiss.extract_index_ivf(index).add_sa_codes(codes, np.arange(4000))
    index.ntotal = 4000
    return found, SearchIndex(index, IndexKey.parse(key), laid_out=True)


def same(found, expected, device):
    """Whether rows are the same, but where scores are as good as equal."""
    (scores, rows), (others, theirs) = found, expected
    # Tables are float16 on a GPU.
    near = 1e-5 if device == "cpu" else 2e-3
    assert ((rows < 0) == (theirs < 0)).all()
    assert np.abs(np.where(rows < 0, 0, scores - others)).max(initial=0) < near
    least = 0.999 if device == "cpu" else 0.9
    assert np.mean([len({*a} & {*b}) / max(1, len({*b})) for a, b in zip(rows, theirs, strict=True)]) >= least


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("by_residual", [True, False])
@pytest.mark.parametrize("key", KEYS)
def test_hits_are_those_of_the_cpus_index(key, by_residual, device):
    ours, theirs = both(key, by_residual, device)
    queries = embeddings(40, 3, theirs._index.d).astype(np.float32)
    assigned, peer = ours.assign(queries, 8), theirs.assign(queries, 8)
    # Centroids are float16 on a GPU.
    assert np.mean(assigned.lists == peer.lists) > 0.97
    assert np.allclose(assigned.vectors, peer.vectors, atol=1e-5)
    kept = np.random.default_rng(1).random(4000) < 0.1
    bits = np.packbits(kept, bitorder="little")
    for asked in (peer, peer[:1]):
        for k in (1, 50, 3999):
            same(ours.search(asked, k), theirs.search(asked, k), device)
            found = ours.search(asked, k, ours.selector(bits))
            same(found, theirs.search(asked, k, theirs.selector(bits)), device)
            assert kept[found[1][found[1] >= 0]].all()


@pytest.mark.parametrize("device", DEVICES)
def test_parts_and_blocks_of_queries_change_no_hit(device, monkeypatch):
    one, _ = both("IVF64,PQ16", True, device, parts=1)
    several, _ = both("IVF64,PQ16", True, device, parts=3)
    assigned = one.assign(embeddings(50, 3, 32).astype(np.float32), 8)
    scores, rows = one.search(assigned, 30)
    monkeypatch.setattr(paged_index, "_SCORES", 30_000)
    others, theirs = several.search(assigned, 30)
    assert (scores == others).all()
    assert (rows == theirs).mean() > 0.999
    assert (one.rows, one.nlist) == (several.rows, several.nlist) == (4000, 64)
    assert several.bytes > one.bytes


@pytest.mark.parametrize("device", DEVICES)
def test_few_queries_find_what_many_do(device):
    ours, _ = both("IVF64,PQ16", True, device)
    assigned = ours.assign(embeddings(100, 3, 32).astype(np.float32), 8)
    scores, rows = ours.search(assigned, 30)
    for start, end in ((0, 1), (1, 2), (4, 7), (7, 39), (0, 33)):
        some, its = ours.search(assigned[start:end], 30)
        assert (some == scores[start:end]).all()
        assert (its == rows[start:end]).mean() > 0.99


def test_what_takes_much_room_is_not_captured(monkeypatch):
    ours, _ = both("IVF64,PQ16", True, "cpu")
    assigned = ours.assign(embeddings(33, 3, 32).astype(np.float32), 64)
    assert ours._small(assigned[:32], 10)
    assert not ours._small(assigned, 10)
    monkeypatch.setattr(paged_index, "_CAPTURED", 32 * 64)
    assert not ours._small(assigned[:1], 10)


def test_of_no_rows_or_for_no_query_nothing_is_found():
    index = drawn_index("IVF8,PQ4")
    empty = paged(index, IndexKey.parse("IVF8,PQ4"), [], places("cpu"))
    queries = embeddings(3).astype(np.float32)
    assert [part.shape for part in empty.search(empty.assign(queries, 2), 5)] == [(3, 0), (3, 0)]
    some = paged(index, IndexKey.parse("IVF8,PQ4"), [(0, encode(index, embeddings(9)))], places("cpu"))
    assert [part.shape for part in some.search(some.assign(queries[:0], 2), 5)] == [(0, 5), (0, 5)]
    nothing = some.selector(np.zeros(2, np.uint8))
    assert (some.search(some.assign(queries, 8), 5, nothing)[1] == -1).all()


def test_a_gpu_that_is_full_just_now_is_a_sentence(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError

    ours, _ = both("IVF64,PQ16", True, "cpu")
    queries = embeddings(3, 3, 32).astype(np.float32)
    assigned = ours.assign(queries, 4)
    monkeypatch.setattr("retriever.index.paged.part.by_slot", full)
    monkeypatch.setattr("retriever.index.paged.scan.page_maxima", full)
    monkeypatch.setattr(paged_index, "product", full)
    for ask in (
        lambda: ours.assign(queries, 4),
        lambda: ours.search(assigned, 5),
        lambda: ours.selector(np.zeros(500, np.uint8)),
    ):
        with pytest.raises(Unavailable, match="too little memory free for this search"):
            ask()


def test_rows_beyond_what_32_bits_count_are_found():
    index = drawn_index("IVF64,PQ16", dimension=32)
    codes = encode(index, embeddings(500, 2, 32))
    found = []
    for first in (0, 1 << 33):
        one = paged(index, IndexKey.parse("IVF64,PQ16"), [(first, codes)], places("cpu"))
        found.append(one.search(one.assign(embeddings(5, 3, 32).astype(np.float32)), 20))
    assert (found[0][0] == found[1][0]).all()
    assert (found[0][1] + (1 << 33) == found[1][1]).all()


def test_queries_are_assigned_in_blocks(monkeypatch):
    ours, _ = both("IVF64,PQ16", True, "cpu")
    queries = embeddings(30, 3, 32).astype(np.float32)
    whole = ours.assign(queries, 5)
    monkeypatch.setattr(paged_index, "rows_at_once", lambda width, device: 7)
    blocks = ours.assign(queries, 5)
    assert (whole.lists == blocks.lists).all()
    assert isinstance(blocks, Assigned)
    assert len(ours.assign(queries[:0], 5)) == 0


def on_pages(store, device):
    """A store's codes in pages."""
    root, manifest = store.layout.root, store.manifest
    shards = [(s.first_row, open_array(root / s.codes.path)) for s in manifest.shards]
    trained = read_trained(root / manifest.index.trained.path)
    return paged(trained, IndexKey.parse(manifest.index.key), shards, places(device))


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=12)
@given(
    drawn=st.builds(Drawn, st.integers(0, 10**6), st.integers(12, 90), st.sampled_from([None, 3, 20])),
    views=st.lists(
        st.builds(View, st.floats(0.02, 1.0), st.integers(0, 5), st.sampled_from([(), ("a",), ("b", "c")])),
        min_size=1,
        max_size=2,
    ),
    gone=st.sets(st.integers(0, 11), max_size=5),
    k=st.integers(1, 12),
    setting=st.builds(Setting, nprobe=st.integers(1, 4), depth=st.sampled_from([0, 3, 20])),
    key=st.sampled_from(["IVF4,PQ4x4", "IVF4,PQ8x4fs", "OPQ4_8,IVF4,PQ4x4fs"]),
)
def test_a_view_equals_a_build_and_so_does_a_takedown(  # noqa: PLR0913
    tmp_path_factory, device, drawn, views, gone, k, setting, key
):
    """Law 2 on pages: in a view, and after takedowns, is found what a store of those passages finds."""
    vectors, queries, names = drawn.vectors, drawn.queries(3), ["0", "1", "2"]
    root, search = tmp_path_factory.mktemp("pages"), dense(k, setting=setting)
    store = make_store(root / "whole", np.arange(drawn.count), vectors, key)
    whole = make_retriever(store, queries, on_pages(store, device))
    if gone:
        down = frozenset(Takedown(p.domain, p.doc_id) for p in map(passage, gone))
        take_down(store.layout, Takedowns(down))
        whole = whole.refreshed()
    views = [view for view in views if {*view.domains} <= {*whole.store.manifest.domains}]
    for number, (view, rankings) in enumerate(
        zip(views, whole.search_many(names, views, search) if views else [], strict=True)
    ):
        kept = np.flatnonzero(whole.store.mask(view))
        if not len(kept):
            assert all(ranking.exhausted and not ranking.hits for ranking in rankings)
            continue
        built = make_store(root / f"part{number}", kept, vectors, key)
        part = make_retriever(built, queries, on_pages(built, device))
        for mine, its in zip(rankings, part.search(names, search), strict=True):
            assert [(h.score, h.passage) for h in mine.hits] == [(h.score, h.passage) for h in its.hits]
            assert mine.exhausted == its.exhausted == (len(mine.hits) < k)
