"""Values that are written as text, as the scalars they are: a number where nothing of it is lost."""

import re

from datastore.schema import Scalar

# No leading zeros or plus sign: those are codes and telephone numbers. Fifteen digits a float holds exactly.
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_EXACT_DIGITS = 15


def as_written(text: str) -> Scalar:
    """What a cell or a plain YAML value says: a number, text, or None if it is empty.

    `007`, `1e5` and numbers of more digits than a float holds stay text.
    """
    text = text.strip()
    if _INTEGER.fullmatch(text) and text != "-0":
        return int(text)
    if _DECIMAL.fullmatch(text) and len(text.lstrip("-").replace(".", "")) <= _EXACT_DIGITS:
        return float(text)
    return text or None
