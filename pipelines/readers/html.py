"""HTML pages to text."""

import re

from pipelines.readers.charset import decoded
from pipelines.readers.foreign import ask

# Characters written as numbers, as in &#12; and &#xc;.
_REFERENCE = re.compile(r"&#(?:([0-9]+)|[xX]([0-9a-fA-F]+));?")
_MOST_DIGITS = 5
_SPACES = frozenset((0x0B, 0x0C))
# Tab, line feed and carriage return are the only ones that XML, and so lxml, takes.
_REFUSED = frozenset(range(0x20)) - {0, 0x09, 0x0A, 0x0D} | {0xFFFE, 0xFFFF}


def text_of_html(page: bytes, content_type: str = "") -> str:
    """The main text of a page, or all of its text if it has no main part; "" if there is none.

    `content_type` is that of its HTTP header. Raises Refused for a page that the extractor cannot read.
    """
    import trafilatura

    shown = _REFERENCE.sub(_shown, decoded(page, content_type))
    return ask(trafilatura.extract, shown, include_comments=False) or ask(trafilatura.html2txt, shown) or ""


def _shown(reference: re.Match[str]) -> str:
    """A reference as it is, unless to a control character: browsers show none, lxml refuses the page."""
    decimal, hexadecimal = reference.groups()
    digits = (decimal or hexadecimal).lstrip("0")
    code = int(digits or "0", 10 if decimal else 16) if len(digits) <= _MOST_DIGITS else 0
    if code not in _REFUSED:
        return reference.group()
    return " " if code in _SPACES else ""
