"""Values that are written as text, as the scalars they are: a number where nothing of it is lost.

Decisions: docs/decisions/readers-and-damage.md.
"""

import re

from base.numbers import fraction, whole
from datastore.schema import Scalar

# No leading zeros or plus sign: those are codes and telephone numbers.
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FRACTION = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")


def as_written(text: str) -> Scalar:
    """What a cell or a plain YAML value says: a number, text, or None if it is empty.

    `007` and `1e5` stay text. No digit of a number is lost.
    """
    text = text.strip()
    if _WHOLE.fullmatch(text) and text != "-0":
        return whole(text)
    if _FRACTION.fullmatch(text):
        return fraction(text)
    return text or None
