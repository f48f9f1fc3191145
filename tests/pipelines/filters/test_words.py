from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.filters import words as module
from pipelines.filters.words import hashes_of, n_gram_hashes, words_of

FEW = st.lists(st.sampled_from(["the", "of", "a", "-", "7", "über"]), max_size=30).map(" ".join)


def grams_of(words, n):
    return Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))


@given(st.lists(st.text() | FEW, max_size=5))
def test_words_are_those_between_white_space_and_are_counted(bodies):
    found = words_of(bodies)
    assert len(found) == len(bodies)
    for body, words in zip(bodies, found, strict=True):
        expected = body.split()
        filled = [word for word in expected if any(map(str.isalnum, word))]
        assert words.lengths.tolist() == [len(word) for word in expected]
        assert words.tally.symbols == len(expected) - len(filled)
        assert words.tally.characters == sum(map(len, filled))
        assert words.tally.lettered == sum(any(map(str.isalpha, word)) for word in expected)
        assert words.tally.stop_words == len({*expected} & {*module._STOP_WORDS})
        assert words.tally.longest == max(map(len, expected), default=0)
        top = [max(grams_of(expected, n).values(), default=0) for n in module.TOP_GRAMS]
        assert list(words.tally.top_grams) == top
        fives = grams_of(expected, 5)
        assert words.tally.repeated_fives == fives.total() - len(fives)


@given(st.lists(st.text("ab\0ü", min_size=1, max_size=5), min_size=1))
def test_hashes_are_equal_for_equal_words_only(words):
    hashes = hashes_of(" ".join(words)).tolist()
    assert len(set(hashes)) == len(set(words)) == len(set(zip(hashes, words, strict=True)))


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=3), unique=True, max_size=40))
def test_short_words_differ_also_in_the_bits_that_are_kept_of_n_grams(words):
    # The highest bits of a hash are what is compared of n-grams.
    assert len({value >> 10 for value in hashes_of(" ".join(words)).tolist()}) == len(words)


@pytest.mark.parametrize("piece", [5, 6, 11])
@given(bodies=st.lists(FEW | st.lists(st.text("abü\u3000", max_size=4)).map(" ".join), max_size=4))
def test_how_texts_are_cut_into_pieces_is_not_seen(piece, bodies):
    whole = words_of(bodies)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", piece)
        patch.setattr(module, "_TEXTS", piece)
        cut = words_of(bodies)
    for one, other in zip(whole, cut, strict=True):
        assert one.hashes.tolist() == other.hashes.tolist()
        assert one.lengths.tolist() == other.lengths.tolist()
        assert one.tally == other.tally


@given(st.text("ab ", max_size=60))
def test_words_longer_than_a_piece_are_told_apart_and_known_again(body):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", 4)
        hashes, expected = hashes_of(f"{body} {body}").tolist(), 2 * body.split()
    assert len(set(hashes)) == len(set(expected)) == len(set(zip(hashes, expected, strict=True)))


@given(st.lists(st.sampled_from("abc"), max_size=12), st.integers(1, 4))
def test_n_grams_are_equal_for_equal_words_only(words, n):
    hashes = n_gram_hashes(hashes_of(" ".join(words)), n).tolist()
    expected = [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]
    assert len(hashes) == len(expected)
    assert len(set(hashes)) == len(set(expected)) == len(set(zip(hashes, expected, strict=True)))
