import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore.errors import RalmError
from retriever.index import to_bytes, train
from retriever.sizing import IndexKey, choose_key, parse_bytes


@pytest.mark.parametrize("text", ["", "flat", "IVF,SQ8", "IVF0,SQ8", "HNSW32", "IVF16,PQ8", "IVF-1,SQ8"])
def test_an_unknown_key_lists_the_valid_ones(text):
    with pytest.raises(RalmError, match="valid keys are auto, Flat, IVFn,SQ8"):
        IndexKey.parse(text)


@given(st.integers(1, 10**10), st.integers(8, 4096))
def test_what_is_chosen_fits_and_can_be_trained(rows, dimension):
    key = choose_key(rows, dimension, 2**60)
    assert IndexKey.parse(key.text) == key
    assert not key.nlist or key.training_rows <= 65 * 4 * rows
    assert 0 <= key.nprobe <= key.nlist


def test_small_stores_are_searched_exactly_and_large_ones_are_not():
    assert choose_key(1000, 384, 2**32).text == "Flat"
    assert choose_key(1_000_000, 384, 2**32).text == "IVF2048,SQ8"


def test_an_index_beyond_the_memory_is_refused_with_the_figures():
    with pytest.raises(RalmError, match=r"takes 3,\d+,\d+,\d+ bytes and --index-memory allows 1,000"):
        choose_key(10_000_000, 384, 1000)


@pytest.mark.parametrize("text", ["Flat", "IVF32,SQ8"])
def test_foreseen_bytes_are_those_of_the_built_index(text):
    rows, dimension = 20_000, 32
    vectors = np.random.default_rng(0).standard_normal((rows, dimension)).astype(np.float32)
    index = train(IndexKey.parse(text), vectors)
    index.add(vectors)
    assert abs(len(to_bytes(index)) / IndexKey.parse(text).bytes(rows, dimension) - 1) < 0.02


@pytest.mark.parametrize(
    ("text", "value"), [("4GiB", 4 * 2**30), ("500MB", 500_000_000), ("1024", 1024), ("1.5 KiB", 1536)]
)
def test_sizes_are_read(text, value):
    assert parse_bytes(text) == value


@pytest.mark.parametrize("text", ["", "4 gigs", "-1GiB", "GiB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(RalmError, match="is not a size"):
        parse_bytes(text)
