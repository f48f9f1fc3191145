"""The words of a text as hashes: what stands between white space is remembered with those of its words.

Decisions: docs/decisions/contamination.md.
"""

import numpy as np
import xxhash
from numpy.typing import NDArray

from retriever.words import words

# Tokens remembered at once, some 200 bytes each.
_MOST_TOKENS = 1 << 19


class _Tokens(dict[str, bytes]):
    """What stands between white space, to the hashes of its words, 8 bytes each: "don't" has two, "-" none.

    A word is as `retriever.words` has it; to find the words of a whole text there took half as long again.
    """

    def __missing__(self, token: str) -> bytes:
        if (bare := token.rstrip(",.")) != token:
            digests = self[bare]
        elif (lowered := token.lower()).isalnum():
            digests = _digest(lowered)
        else:
            digests = b"".join(map(_digest, words(token)))
        self[token] = digests
        return digests


def _digest(word: str) -> bytes:
    return xxhash.xxh3_64_digest(word.encode(errors="surrogatepass"))


_tokens = _Tokens()


def word_hashes(text: str) -> NDArray[np.uint64]:
    """A hash for each word of a text: uint64 [words]."""
    if len(_tokens) > _MOST_TOKENS:
        _tokens.clear()
    found: NDArray[np.uint64] = np.frombuffer(b"".join(map(_tokens.__getitem__, text.split())), "<u8")
    return found
