"""Answers that are kept: a reader's answers are taken again only from the very same reader.

lm-eval's cache goes by a request's arguments, which hold the passages here. What else an answer depends on is
in the name of the file: an answer of another reader would be taken for this one's.

Imports lm-eval: import it where it is used.

Decisions: docs/decisions/measuring.md.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import xxhash
from lm_eval.api.model import CachingLM

from lm.prompts import Prompt
from lm.reader import Continuation, Reader, card

# Any change of weights, precision or adapter changes how likely this is.
_PROBE = " The quick brown fox jumps over the lazy dog, and 7 x 8 = 56."
_LIBRARIES = ("ralm", "lm_eval", "torch", "transformers")


def fingerprint(reader: Reader, seed: int) -> str:
    """Names a reader's answers: what it is called, what it weighs, how likely it finds one text.

    Raises RalmError if it cannot score.
    """
    asked = [Continuation(Prompt(text="Read:", passages=passages), _PROBE) for passages in (0, 1)]
    likely = [one.tokens for one in reader.loglikelihood(asked)]
    what = (card(reader), reader.context_tokens, likely, seed)
    libraries = [version(one) for one in _LIBRARIES]
    return xxhash.xxh3_128_hexdigest(orjson.dumps([what, libraries]))


def kept(model: Any, reader: Reader, folder: Path, seed: int) -> Any:
    """An LM of lm-eval whose answers are written to a folder, and taken from there."""
    return CachingLM(model, str(folder / f"{fingerprint(reader, seed)}.sqlite"))
