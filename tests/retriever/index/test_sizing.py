import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from retriever.index.faiss_index import train
from retriever.index.loading import in_memory
from retriever.index.sizing import IndexKey, choose_key
from tests.vectors import make_store, random_vectors


@pytest.mark.parametrize("text", ["", "flat", "IVF,SQ8", "IVF0,SQ8", "IVF16,SQ7", "IVF-1,SQ8", "a b"])
def test_an_unknown_key_lists_the_valid_ones(text):
    with pytest.raises(RalmError, match=r"valid keys are auto, Flat, .*IVFn,CODE"):
        IndexKey.parse(text)


def test_a_factory_string_of_faiss_is_taken_as_it_is():
    key = IndexKey.parse("IVF16_HNSW32,PQ8")
    assert (key.foreign, key.factory) == (True, "IVF16_HNSW32,PQ8")
    with pytest.raises(RalmError, match="for 30 dimensions"):
        key.check(30)


@pytest.mark.parametrize(
    ("text", "factory"),
    [
        ("Flat", "SQfp16"),
        ("IVF64,PQ8x4fs", "IVF64,PQ8x4"),
        ("OPQ8_32,IVF64,PQ8", "OPQ8_32,IVF64,PQ8"),
        ("RR32,IVF64,RaBitQfs", "RR32,IVF64,RaBitQ"),
        ("HNSW16,SQ8", "HNSW16_SQ8"),
    ],
)
def test_what_is_trained_encodes_row_by_row(text, factory):
    assert IndexKey.parse(text).factory == factory


@pytest.mark.parametrize(
    ("text", "exact", "lists", "graph", "foreign"),
    [
        ("Flat", True, False, False, False),
        ("MRL128,IVF64,PQ32x4fs", False, True, False, False),
        ("HNSW16,SQ8", False, False, True, False),
        ("IVF16_HNSW32,PQ8", False, False, False, True),
    ],
)
def test_a_key_says_what_it_is(text, exact, lists, graph, foreign):
    key = IndexKey.parse(text)
    assert (key.exact, key.has_lists, key.is_graph, key.foreign) == (exact, lists, graph, foreign)


def test_parts_that_do_not_divide_the_dimension_are_refused_with_ones_that_do():
    with pytest.raises(RalmError, match="384 dimensions cannot be cut into 100 equal parts: PQ96 can"):
        IndexKey.parse("IVF64,PQ100").check(384)


def test_the_first_dimensions_are_no_more_than_there_are():
    key = IndexKey.parse("MRL128,IVF64,PQ32x4fs")
    assert (key.first, key.factory, key.code_bytes(384)) == (128, "IVF64,PQ32x4", 16)
    key.check(384)
    with pytest.raises(RalmError, match="vectors have 64 dimensions, not 128 or more"):
        key.check(64)
    with pytest.raises(RalmError, match="128 dimensions cannot be cut into 96 equal parts: PQ64 can"):
        IndexKey.parse("MRL128,IVF64,PQ96").check(384)


@given(st.integers(1, 10**10), st.integers(2, 1024).map(lambda n: 4 * n), st.floats(0.5, 1.0))
def test_what_is_chosen_fits_and_can_be_trained(rows, dimension, recall):
    key = choose_key(rows, dimension, 2**60, recall)
    assert IndexKey.parse(key.text) == key
    key.check(dimension)
    assert key.nlist * 64 <= 65 * 4 * rows
    assert key.bytes(rows, dimension) <= 2**60


@pytest.mark.parametrize(
    ("text", "few", "said"),
    [
        ("IVF40,SQ8", 39, "has 40 lists and only 39 passages"),
        ("IVF8,PQ4x4fs", 15, "learns 16 codes from only 15 passages"),
        ("IVF8,PQ4", 255, "learns 256 codes from only 255 passages"),
        ("OPQ4,IVF8,PQ4x4fs", 255, "learns 256 codes from only 255 passages"),
    ],
)
def test_too_few_passages_to_train_on_are_told_from_enough(text, few, said):
    key = IndexKey.parse(text)
    with pytest.raises(RalmError, match=said):
        key.require_passages(few)
    key.require_passages(few + 1)
    train(key, random_vectors(0, few + 1).astype(np.float32))


def test_size_memory_and_recall_choose_the_key():
    assert choose_key(1000, 384, 2**32).text == "Flat"
    assert choose_key(1_000_000, 384, 2**32).text == "IVF2048,PQ96x4fs"
    assert choose_key(1_000_000, 384, 2**32, 0.99).text == "IVF2048,SQ8"
    assert choose_key(1_000_000, 384, 50 * 2**20).text == "IVF2048,PQ48x4fs"
    assert choose_key(5_000_000_000, 768, 2**40).text == "IVF131072,PQ192x4fs"


def test_an_index_beyond_the_memory_is_refused_with_the_figures():
    with pytest.raises(
        RalmError, match=r"takes at least 3\d\d,\d+,\d+ bytes and --index-memory allows 1,000"
    ):
        choose_key(10_000_000, 384, 1000)


@pytest.mark.parametrize(
    "text",
    [
        "Flat",
        "IVF32,SQfp16",
        "IVF32,SQ8",
        "IVF32,PQ8",
        "IVF32,PQ8x4",
        "IVF32,PQ16x4fs",
        "OPQ8,IVF32,PQ8x4",
        "OPQ8_32,IVF32,PQ8x4",
        "MRL32,IVF32,SQ8",
        "MRL32,IVF32,PQ16x4fs",
        "IVF32,RaBitQ",
        "IVF32,RaBitQfs",
        "HNSW16,SQ8",
        "SQ8",
    ],
)
def test_foreseen_bytes_are_those_of_the_built_index(tmp_path, text):
    rows, dimension = 20_000, 64
    vectors = random_vectors(0, rows, dimension)
    store = make_store(tmp_path, np.arange(rows), vectors, text, per_shard=rows)
    index = in_memory(tmp_path, store.manifest)
    assert abs(index.bytes / index.key.bytes(rows, dimension) - 1) < 0.02
