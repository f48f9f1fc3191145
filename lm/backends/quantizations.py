"""Which quantizations of a reader there are, and how each is written. Loads no library of theirs.

Decisions: docs/decisions/reader-and-citations.md.
"""

from base.errors import RalmError
from base.names import did_you_mean

# Of a reader's own weights; what is quantized already stays as it is stored.
DEFAULT_QUANTIZATION = "int8"
# int8 is torchao's weight-only int8; llm-int8 and nf4 are bitsandbytes'. Measured against each other
# in benchmarks/reader.py: weight-only int8 keeps the perplexity.
QUANTIZATIONS = ("none", "int8", "llm-int8", "nf4")


def require_quantization(name: str) -> None:
    """Raise RalmError for what is no quantization."""
    if name not in QUANTIZATIONS:
        valid = ", ".join(QUANTIZATIONS)
        near = did_you_mean(name, QUANTIZATIONS)
        raise RalmError(f"Unknown quantization {name!r}: valid are {valid}{near}")
