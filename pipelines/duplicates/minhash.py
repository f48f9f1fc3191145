"""MinHash signatures and their bands (Broder 1997; Indyk, Motwani 1998): what may be near-duplicates.

A text is the set of its n-grams of words in lower case; two texts are near-duplicates if the Jaccard
similarity of their sets reaches a threshold.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from pipelines.filters.words import hashes_of, n_gram_hashes

_SEED = 1
_MIX = np.uint64(0x9E3779B97F4A7C15)


def shingles(body: str, words: int) -> NDArray[np.uint64]:
    """The set of a text's n-grams of so many words, as sorted hashes; a shorter text is one n-gram."""
    hashes = hashes_of(body.lower())
    return np.unique(n_gram_hashes(hashes, min(words, len(hashes))))


def members(grams: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """32 bits of each n-gram's hash, ascending: enough to compare two sets by, and half as much to keep.

    Two of a thousand n-grams have the same 32 bits once in 8,600 sets (n^2 / 2^33).
    """
    found: NDArray[np.uint32] = np.unique((grams * _MIX >> np.uint64(32)).astype(np.uint32))
    return found


def jaccard(one: NDArray[np.unsignedinteger], other: NDArray[np.unsignedinteger]) -> float:
    """The Jaccard similarity of two sorted sets: shared members over all members."""
    if not len(one) or not len(other):
        return 0.0
    at = np.minimum(np.searchsorted(one, other), len(one) - 1)
    shared = int(np.count_nonzero(one[at] == other))
    return shared / (len(one) + len(other) - shared)


def signatures(sets: Sequence[NDArray[np.uint64]], permutations: int) -> NDArray[np.uint32]:
    """The MinHash signature of each set: uint32 [sets, permutations]. An empty set's means nothing."""
    flat = np.concatenate([*sets, np.zeros(0, np.uint64)])
    offsets = np.zeros(len(sets) + 1, np.uint64)
    np.cumsum([len(one) for one in sets], out=offsets[1:])
    digests = RMinHash.digest_matrix_from_flat_token_hashes(flat, offsets, permutations, _SEED)
    return np.asarray(digests.to_rows(), np.uint32).reshape(len(sets), permutations)


def band_keys(signed: NDArray[np.uint32], bands: int) -> NDArray[np.uint64]:
    """A key for each band of each signature: uint64 [n, bands]. Equal keys make two texts candidates.

    Texts of similarity s share a key with a probability of 1 - (1 - s^r)^bands, r values in each band.
    """
    rows = signed.shape[1] // bands
    values = signed[:, : rows * bands].reshape(len(signed), bands, rows)
    keys = np.broadcast_to(np.arange(1, bands + 1, dtype=np.uint64), values.shape[:2]) * _MIX
    for at in range(rows):
        keys = (keys ^ values[:, :, at].astype(np.uint64)) * _MIX
        keys ^= keys >> np.uint64(32)
    return keys
