import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.duplicates.minhash import band_keys, jaccard, members, shingles, signatures

words = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=40)


def n_grams(text, n):
    found = text.lower().split()
    n = min(n, len(found))
    return {tuple(found[at : at + n]) for at in range(len(found) - n + 1)}


@given(words, words, st.integers(1, 5))
def test_similarity_is_that_of_the_sets_of_n_grams(one, other, n):
    one, other = " ".join(one), " ".join(other).upper()
    mine, theirs = n_grams(one, n), n_grams(other, n)
    if min(len(one.split()), len(other.split())) < n:
        return  # A short text is one n-gram of another length.
    assert jaccard(shingles(one, n), shingles(other, n)) == len(mine & theirs) / len(mine | theirs)


def test_a_text_without_words_is_like_nothing():
    assert jaccard(shingles("", 3), shingles("", 3)) == 0
    assert jaccard(shingles("a text", 3), shingles(" \n", 3)) == 0


def test_a_text_shorter_than_an_n_gram_is_one():
    assert jaccard(shingles("Two words", 13), shingles("two  words", 13)) == 1


@pytest.mark.parametrize("similar", [0.2, 0.5, 0.8, 0.95])
def test_signatures_agree_in_the_share_that_sets_are_similar_by(similar):
    random = np.random.default_rng(0)
    sizes, errors = 400, []
    for _ in range(50):
        shared = round(2 * sizes * similar / (1 + similar))
        every = np.unique(random.integers(0, 2**63, 2 * sizes - shared).astype(np.uint64))
        random.shuffle(every)
        one, other = every[:sizes], every[sizes - shared :]
        signed = signatures([np.sort(one), np.sort(other)], 128)
        errors.append((signed[0] == signed[1]).mean() - jaccard(np.sort(one), np.sort(other)))
    assert abs(np.mean(errors)) < 0.02


def test_equal_bands_have_equal_keys_and_bands_differ():
    signed = np.random.default_rng(1).integers(0, 2**32, (3, 128), dtype=np.uint64).astype(np.uint32)
    signed[1, :8] = signed[0, :8]
    signed[2] = signed[0, 0]
    keys = band_keys(signed, 16)
    assert keys.shape == (3, 16)
    assert (keys[0] == keys[1]).tolist() == [True] + [False] * 15
    assert len(set(keys[2].tolist())) == 16


def test_signatures_of_no_set_are_none():
    assert signatures([], 128).shape == (0, 128)
    assert band_keys(signatures([], 128), 16).shape == (0, 16)


def test_the_members_that_are_kept_are_as_similar():
    random = np.random.default_rng(3)
    one = np.unique(random.integers(0, 2**63, 5000).astype(np.uint64))
    other = np.sort(np.concatenate([one[:4000], random.integers(0, 2**63, 500).astype(np.uint64)]))
    small = [members(one), members(other)]
    assert all(found.dtype == np.uint32 and (np.diff(found.astype(np.int64)) > 0).all() for found in small)
    assert jaccard(*small) == pytest.approx(jaccard(one, other), abs=2e-3)
