"""HTML pages to text."""

import re

from pipelines.readers.foreign import ask

# Characters written as numbers, as in &#12; and &#xc;.
_REFERENCE = re.compile(r"&#(?:([0-9]+)|[xX]([0-9a-fA-F]+));?")
_MOST_DIGITS = 5
_SPACES = frozenset((0x0B, 0x0C))
# Tab, line feed and carriage return are the only ones that XML, and so lxml, takes.
_REFUSED = frozenset(range(0x20)) - {0, 0x09, 0x0A, 0x0D} | {0xFFFE, 0xFFFF}


def text_of_html(page: bytes | str) -> str:
    """The main text of a page, or all of its text if it has no main part; "" if there is none.

    Raises Refused for a page that the extractor cannot read.
    """
    import trafilatura

    page = _without_controls(page)
    return ask(trafilatura.extract, page, include_comments=False) or ask(trafilatura.html2txt, page) or ""


def _without_controls(page: bytes | str) -> bytes | str:
    """A page without references to control characters: a browser shows none, lxml refuses all the page."""
    if isinstance(page, bytes):
        # Whatever the charset is: no byte is lost on the way there and back.
        return _without_controls(page.decode("latin-1")).encode("latin-1")  # type: ignore[union-attr]
    return _REFERENCE.sub(_shown, page)


def _shown(reference: re.Match[str]) -> str:
    decimal, hexadecimal = reference.groups()
    digits = (decimal or hexadecimal).lstrip("0")
    code = int(digits or "0", 10 if decimal else 16) if len(digits) <= _MOST_DIGITS else 0
    if code not in _REFUSED:
        return reference.group()
    return " " if code in _SPACES else ""
