"""HTML pages to text.

Decisions: docs/decisions/readers-and-damage.md.
"""

import re

from base.foreign import ask
from pipelines.readers.web.charset import decoded
from pipelines.readers.web.nesting import flattened

# Characters written as numbers, as in &#12; and &#xc;.
_REFERENCE = re.compile(r"&#(?:([0-9]+)|[xX]([0-9a-fA-F]+));?")
_MOST_DIGITS = 5
_SPACES = frozenset((0x0B, 0x0C))
# Tab, line feed and carriage return are the only ones that XML, and so lxml, takes.
_REFUSED = frozenset(range(0x20)) - {0, 0x09, 0x0A, 0x0D} | {0xFFFE, 0xFFFF}


# What puts text into the body of a document, however little of one the page is.
_DOCUMENT = "<html>\n"
# Control characters that no text holds, and bytes that were none of the charset.
_BINARY = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\ufffd]")
# In what is packed every tenth byte is such a character.
_MOST_BINARY = 1 / 20

# The attributes of a tag, as browsers part them: the first hundreds, and all behind them.
_ATTRIBUTE = r"""[\s/]*+(?:=[^\s<>=/]*+|[^\s<>=/]++)(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s<>"']*+))?+"""
_CROWDED = re.compile(rf"(<[a-zA-Z][^\s<>/]*+(?:{_ATTRIBUTE}){{200}})(?:{_ATTRIBUTE})++")

# lxml reads so many bytes of what is in one piece, a picture in an attribute, say; there it stops and says
# nothing. Of pages that are longer, texts count together whose pieces are not much shorter than 32 KiB.
_LONGEST = 10_000_000
_UNSEEN = re.compile(
    r"<!--(?:.*?-->|.*)|<(script|style)(?=[\s>])[^<>]*>.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE
)
_LONG_TAG = re.compile(r"(<[a-zA-Z][^\s<>/]{0,99})[^<>]{8000,}>")
_LONG_RUN = re.compile(r"[^<>]{8000}[^<>\s]{0,100}")


def text_of_html(page: bytes, content_type: str = "") -> str:
    """The main text of a page, or all of its text if it has no main part; "" if there is none.

    A page may be a fragment, or text without a tag: browsers show these too. `content_type` is that of its
    HTTP header. Raises Refused for a page that the extractor cannot read.
    """
    # lxml compares each attribute of a tag with all before it: 50,000 would take minutes.
    shown = _CROWDED.sub(r"\1", _REFERENCE.sub(_shown, decoded(page, content_type)))
    shown = flattened(_shortened(shown))
    return _text(shown) or ("" if _is_binary(shown) else _text(_DOCUMENT + shown))


def _text(page: str) -> str:
    """The text of a page that the extractor takes for a document; "" of others."""
    import trafilatura

    return ask(trafilatura.extract, page, include_comments=False) or ask(trafilatura.html2txt, page) or ""


def _shortened(page: str) -> str:
    """A page of which nothing is too long: without what is not shown, long runs of text parted."""
    if len(page) <= _LONGEST and len(page.encode(errors="replace")) <= _LONGEST:
        return page
    return _LONG_RUN.sub(r"\g<0><br>", _LONG_TAG.sub(r"\1>", _UNSEEN.sub("", page)))


def _is_binary(page: str) -> bool:
    """Whether this is no text at all, but an image or the like that a server called HTML."""
    return len(_BINARY.findall(page)) > _MOST_BINARY * len(page)


def _shown(reference: re.Match[str]) -> str:
    """A reference as it is, unless to a control character: browsers show none, lxml refuses the page."""
    decimal, hexadecimal = reference.groups()
    digits = (decimal or hexadecimal).lstrip("0")
    code = int(digits or "0", 10 if decimal else 16) if len(digits) <= _MOST_DIGITS else 0
    if code not in _REFUSED:
        return reference.group()
    return " " if code in _SPACES else ""
