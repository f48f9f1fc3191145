"""Texts to vectors by a store's encoder, as queries or as documents. Knows no HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from base.errors import RalmError

if TYPE_CHECKING:
    from retriever.encoding.text_encoder import TextEncoder

Kind = Literal["query", "document"]


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of texts [n, dimension], and the tokens of all of them."""

    vectors: NDArray[np.float32]
    tokens: int


def embedded(encoder: "TextEncoder", texts: Sequence[str], kind: Kind, cut: bool = False) -> Embedded:
    """Vectors as the store's are: of documents with what it keeps of them, of queries as it searches by them.

    Raises RalmError for a text that is longer than the encoder reads, unless it is to be `cut`.
    """
    named = "query" if kind == "query" else "passage"
    longest = encoder.tokenizer.longest(named)
    ids = [one.ids for one in encoder.tokenizer.tokenize(texts)]
    long = [at for at, one in enumerate(ids) if len(one) > longest]
    if long and not cut:
        raise RalmError(
            f"Text {long[0]} has {len(ids[long[0]]):,} tokens, and the encoder reads {longest:,} of a "
            f"{kind}: shorten it, or send truncate_prompt_tokens: -1 to have it cut."
        )
    tokens = sum(min(len(one), longest) for one in ids)
    if kind == "query":
        return Embedded(encoder.encode_queries(texts), tokens)
    # In float16, as a store keeps them.
    return Embedded(encoder.encode_passages([one[:longest] for one in ids]).astype(np.float32), tokens)
