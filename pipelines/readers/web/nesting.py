"""Pages whose tags lie deeper in one another than lxml reads: it stops there and keeps what came before.

Such pages are old ones above all, with hundreds of <font> that nothing closes.
"""

import re
from collections import Counter
from contextlib import suppress

from base.foreign import Refused, ask

# What lxml reads, and how deep a tag may lie to stay: the end of a tag closes no other kind there.
_DEEPEST, _KEPT = 255, 100
_TAG = re.compile(r"<(?P<end>/?)(?P<name>[a-zA-Z][^\s<>/]*)[^<>]*>")
# fmt: off
_ALONE = frozenset((
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr",
))
_INLINE = frozenset((
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins",
    "kbd", "label", "mark", "nobr", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "tt",
    "u", "var",
))
# fmt: on
# What is in them is no text of the page, or they are its frame.
_STAY = _ALONE | {"html", "head", "title", "body", "script", "style"}


def flattened(page: str) -> str:
    """A page without the tags that lie too deep, whose text stays; the same page if none does."""
    for kept in (_KEPT, 0):
        if not _is_too_deep(page):
            break
        page = _Flattening(kept).of(page)
    return page


def _is_too_deep(page: str) -> bool:
    if page.count("<") <= _DEEPEST:
        return False
    from lxml import etree

    parser = etree.HTMLParser(encoding="utf-8")
    with suppress(Refused):
        ask(etree.fromstring, page.encode(errors="replace"), parser)
    return any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log)


class _Flattening:
    """Takes away tags within so many others. Counts those that are open, whatever their order."""

    def __init__(self, kept: int) -> None:
        self._kept, self._depth = kept, 0
        self._open = Counter[str]()

    def of(self, page: str) -> str:
        return _TAG.sub(self._shown, page)

    def _shown(self, tag: re.Match[str]) -> str:
        name = tag["name"].lower()
        if name in _STAY:
            return tag.group()
        stays = self._depth < self._kept
        if not tag["end"]:
            self._open[name] += 1
            self._depth += 1
        elif self._open[name]:
            self._open[name] -= 1
            self._depth -= 1
            stays = self._depth < self._kept
        if stays:
            return tag.group()
        return "" if name in _INLINE else "<br>"
