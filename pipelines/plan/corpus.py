"""The corpus that a plan is for: so many tokens, or what a sample of real sources foresees."""

import math
import re
from dataclasses import dataclass

from base.errors import RalmError
from pipelines.jobs.estimate import Foreseen
from pipelines.plan.encoder import EncoderShape
from pipelines.plan.rates import Rates

_SUFFIXES = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_SPECIAL_TOKENS = 2


@dataclass(frozen=True, slots=True)
class CorpusSize:
    """Counts of a corpus; `tokens` are the encoder's own, `basis` says what the counts rest on.

    `doubt` is a sentence about a sample that is too small; empty otherwise.
    """

    tokens: int
    passages: int
    documents: int
    text_bytes: int
    basis: str
    doubt: str = ""

    @property
    def passage_tokens(self) -> float:
        """Tokens of a passage, on average."""
        return self.tokens / self.passages

    @classmethod
    def of_tokens(cls, tokens: int, encoder: EncoderShape, rates: Rates) -> "CorpusSize":
        """A corpus like the development corpora. Passages are no longer than documents."""
        room = max(1, encoder.max_tokens - _SPECIAL_TOKENS)
        length = max(1.0, min(rates.passage_fill * room, rates.document_tokens))
        return cls(
            tokens=tokens,
            passages=math.ceil(tokens / length),
            documents=math.ceil(tokens / rates.document_tokens),
            text_bytes=math.ceil(tokens * rates.token_bytes),
            basis="as many passages, documents and bytes a token as rated below",
        )

    @classmethod
    def of_sample(cls, found: Foreseen) -> "CorpusSize":
        """A corpus as its sample foresees it."""
        return cls(
            found.tokens,
            found.passages,
            found.documents,
            found.text_bytes,
            f"extrapolated from {found.sample}",
            found.doubt,
        )


def parse_count(text: str, what: str) -> int:
    """Read a count such as 1.4T, 250B, 22.7M or 1_000. Raises RalmError naming `what`."""
    found = re.fullmatch(r"(\d[\d_,]*(?:\.\d+)?)\s*([KMBT]?)", text.strip(), re.IGNORECASE)
    count = 0
    if found:
        count = round(float(re.sub("[_,]", "", found[1])) * _SUFFIXES[found[2].upper()])
    if not found or not 1 <= count <= 10**18:
        raise RalmError(f"{what} {text!r} is not a count from 1 up: write it as 1.4T, 250B, 22.7M or 5000.")
    return count
