"""The words of many texts at once, and what rules count of them.

Words are what stands between white space, as in Dolma's taggers. All texts are laid end to end and looked
at by arrays, character by character: asked word by word, Python takes several times as long.

Decisions: docs/decisions/filters.md.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# What a character may be: white space (nothing else then), a letter, a letter or digit.
_SPACE, _LETTER, _ALNUM = 1, 2, 4
# Characters looked at together, at least 30 bytes each.
_PIECE = 1 << 18
# Texts counted together: their numbers fill the highest bits of an n-gram's hash.
_TEXTS, _TEXT_BITS = 1 << 10, np.uint64(54)
_STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
# Lengths of the n-grams whose most frequent one is counted.
TOP_GRAMS = (2, 3, 4)
# A word's hash is a polynomial in this over its characters: odd, so that it can be divided by modulo 2^64.
_BASE = 0x9E3779B97F4A7C15
# Multiplies an n-gram's hash before a word is added: Knuth's constant for 64 bits, odd.
_STEP = np.uint64(6364136223846793005)
_WHITE_SPACE = re.compile(r"\s")
_MIX = np.uint64(0xBF58476D1CE4E5B9)


class Tally(NamedTuple):
    """What is counted of a text's words: numbers of words, and characters of those that are no symbols.

    `symbols` have neither letter nor digit; `lettered` have a letter; `stop_words` is how many of Gopher's
    eight occur; `longest` in characters; `top_grams`: how often the most frequent two, three and four words
    in a row occur; `repeated_fives`: how many of its five words in a row have come before.
    """

    symbols: int
    characters: int
    lettered: int
    stop_words: int
    longest: int
    top_grams: tuple[int, ...]
    repeated_fives: int


@dataclass(frozen=True, slots=True)
class Words:
    """A text's words in order: `lengths` int64 in characters, `hashes` uint64, equal for equal words."""

    lengths: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    tally: Tally

    def __len__(self) -> int:
        return len(self.lengths)


def words_of(bodies: Sequence[str]) -> list[Words]:
    """The words of each text."""
    return [words for at in range(0, len(bodies), _TEXTS) for words in _counted(bodies[at : at + _TEXTS])]


def hashes_of(body: str) -> NDArray[np.uint64]:
    """The hashes of one text's words, in order."""
    return _Run.of([body]).hashes


def n_gram_hashes(words: NDArray[np.uint64], n: int) -> NDArray[np.uint64]:
    """Hashes of all n-grams of words with these hashes: [words - n + 1]; none of fewer than n words."""
    hashes = words
    for length in range(2, n + 1):
        hashes = longer(hashes, words, length)
    return hashes


def longer(hashes: NDArray[np.uint64], words: NDArray[np.uint64], n: int) -> NDArray[np.uint64]:
    """Hashes of the n-grams, from those of the n-grams that are a word shorter."""
    return hashes[:-1] * _STEP + words[n - 1 :]


@dataclass(frozen=True, slots=True)
class _Run:
    """Words of texts that lie end to end.

    `starts` [words]: each one's first character, of all texts; `kinds` uint8 [words]: what its characters
    are; `bounds` [texts + 1]: each text's first word, and the end.
    """

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    kinds: NDArray[np.uint8]
    bounds: NDArray[np.int64]

    @classmethod
    def of(cls, bodies: Sequence[str]) -> "_Run":
        # White space first and last: words begin and end inside.
        text = "\n".join(["", *bodies, ""])
        parts = [_words_in(text[begin:end], begin) for begin, end in _pieces(text)]
        starts, lengths, hashes, kinds = (np.concatenate(part) for part in zip(*parts, strict=True))
        firsts = np.cumsum([1, *(len(body) + 1 for body in bodies)])
        return cls(starts, lengths, hashes, kinds, np.searchsorted(starts, firsts))

    def sums(self, values: NDArray[np.generic]) -> list[int]:
        """The sum of a value [words] over each text."""
        up_to = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
        return np.diff(up_to[self.bounds]).tolist()  # type: ignore[no-any-return]


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Where to cut a text that begins and ends with white space, so that each piece does so, too.

    Neighbours share the white space between them. A word longer than a piece is one by itself.
    """
    begin, last = 0, len(text) - 1
    while begin < last:
        end = min(begin + _PIECE, last)
        while not text[end].isspace():
            end -= 1
        if end == begin:
            found = _WHITE_SPACE.search(text, begin + 1)
            assert found is not None  # The text ends with some.
            end = found.start()
        yield begin, end + 1
        begin = end


def _words_in(
    text: str, offset: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64], NDArray[np.uint8]]:
    """Starts, lengths, hashes and kinds of the words of a text that begins and ends with white space."""
    codes, kinds = _characters(text)
    filled = kinds != _SPACE
    edges = np.flatnonzero(filled[1:] != filled[:-1]) + 1
    starts, ends = edges[::2], edges[1::2]
    powers, inverses = _powers(_PIECE + 1)
    # The powers come again in a word longer than a piece, which begins where its piece does.
    weights = powers[: len(codes)] if len(codes) <= len(powers) else np.resize(powers, len(codes))
    codes += np.uint64(1)
    codes *= weights
    sums = np.cumsum(codes, out=codes)
    hashes = (sums[ends - 1] - sums[starts - 1]) * inverses[starts]
    hashes ^= hashes >> np.uint64(32)
    hashes *= _MIX
    hashes ^= hashes >> np.uint64(29)
    found = np.bitwise_or.reduceat(kinds, starts) if len(starts) else kinds[:0]
    return starts + offset, ends - starts, hashes, found


def _characters(text: str) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Each character's code and what it is: [characters] each."""
    if text.isascii():
        data = text.encode("ascii")
        kinds = np.frombuffer(data.translate(_kinds()[:256].tobytes()), np.uint8)
        return np.frombuffer(data, np.uint8).astype(np.uint64), kinds
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    return codes.astype(np.uint64), _kinds()[codes]


@lru_cache(maxsize=1)
def _kinds() -> NDArray[np.uint8]:
    """What every character of Unicode is: uint8 [1,114,112]. Takes a third of a second."""
    characters = list(map(chr, range(0x110000)))
    space, letter, alnum = (
        np.fromiter(map(asked, characters), bool, len(characters)).astype(np.uint8)
        for asked in (str.isspace, str.isalpha, str.isalnum)
    )
    return np.where(space, np.uint8(_SPACE), letter * np.uint8(_LETTER) + alnum * np.uint8(_ALNUM))


@lru_cache(maxsize=1)
def _powers(count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """So many powers of the base modulo 2^64, from the first, and of its inverse."""
    bases = np.array([_BASE, pow(_BASE, -1, 1 << 64)], np.uint64)
    found = np.ones((2, count), np.uint64)
    found[:, 1:] = bases[:, None]
    powers, inverses = np.cumprod(found, axis=1)
    return powers, inverses


@lru_cache(maxsize=1)
def _stop_hashes() -> NDArray[np.uint64]:
    return np.sort(hashes_of(" ".join(_STOP_WORDS)))


def _counted(bodies: Sequence[str]) -> list[Words]:
    """The words of at most `_TEXTS` texts."""
    run = _Run.of(bodies)
    filled = run.kinds & _ALNUM != 0
    columns = (
        run.sums(~filled),
        run.sums(np.where(filled, run.lengths, 0)),
        run.sums(run.kinds & _LETTER != 0),
        _stop_words(run).tolist(),
        _largest(run).tolist(),
        list(zip(*(_top_grams(run, n).tolist() for n in TOP_GRAMS), strict=True)),
        _repeated_fives(run).tolist(),
    )
    bounds = run.bounds.tolist()
    return [
        Words(run.lengths[begin:end], run.hashes[begin:end], Tally(*numbers))
        for begin, end, *numbers in zip(bounds[:-1], bounds[1:], *columns, strict=True)
    ]


def _stop_words(run: _Run) -> NDArray[np.int64]:
    """How many of the stop words each text has: [texts]."""
    stops = _stop_hashes()
    at = np.flatnonzero(np.isin(run.hashes, stops))
    texts = np.searchsorted(run.bounds, at, side="right") - 1
    seen = np.zeros((len(run.bounds) - 1, len(stops)), bool)
    seen[texts, np.searchsorted(stops, run.hashes[at])] = True
    found: NDArray[np.int64] = seen.sum(axis=1)
    return found


def _largest(run: _Run) -> NDArray[np.int64]:
    """The length of each text's longest word: [texts]."""
    found = np.zeros(len(run.bounds) - 1, np.int64)
    some = np.diff(run.bounds) > 0
    if some.any():
        found[some] = np.maximum.reduceat(run.lengths, run.bounds[:-1][some])
    return found


def _top_grams(run: _Run, n: int) -> NDArray[np.int64]:
    """How often the most frequent n-gram occurs in each text: [texts]."""
    ordered = _n_grams_by_text(run, n)
    found = np.zeros(len(run.bounds) - 1, np.int64)
    if len(ordered):
        (first,) = np.nonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        np.maximum.at(found, _text_of(ordered[first]), np.diff(first, append=len(ordered)))
    return found


def _repeated_fives(run: _Run) -> NDArray[np.int64]:
    """How many five words in a row have come before in the same text: [texts]."""
    ordered = _n_grams_by_text(run, 5)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.bincount(_text_of(again), minlength=len(run.bounds) - 1)


def _n_grams_by_text(run: _Run, n: int) -> NDArray[np.uint64]:
    """Sorted hashes of the n-grams that lie in one text, the text's number in the highest bits."""
    hashes = n_gram_hashes(run.hashes, n)
    texts = np.repeat(np.arange(len(run.bounds) - 1, dtype=np.uint64), np.diff(run.bounds))
    within = texts[n - 1 :] == texts[: len(hashes)]
    keys = hashes >> np.uint64(64) - _TEXT_BITS | texts[: len(hashes)] << _TEXT_BITS
    found: NDArray[np.uint64] = np.sort(keys[within])
    return found


def _text_of(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (keys >> _TEXT_BITS).astype(np.int64)
