"""How long wikitext would take to parse, told by its marks alone.

mwparserfromhell tries each opening mark up to the end of the text, and begins anew behind it if nothing
closes it: a text of n characters with u such marks takes in proportion to u * n. A clock would decide
otherwise on another machine, so the marks are counted.

Decisions: docs/decisions/readers-and-damage.md.
"""

import re
from collections import Counter

# Nanoseconds a character behind a mark that nothing closes: of the dearest texts that were found.
_NANOSECONDS = {"{{": 500, "{|": 500, "<": 500, "{{{": 30}
_OTHER_NANOSECONDS, _SINGLE_NANOSECONDS = 100, 15
# An entity takes as long as so many other characters.
_ENTITIES = 150
# A comment without an end is looked through again each time that the parser comes by.
_COMMENT_NANOSECONDS = 10
# Deeper marks are text to mwparserfromhell: `MAX_DEPTH` there.
_DEPTH = 40
_MOST_NANOSECONDS = 5_000_000_000
# Characters of which none can be so bad, and more than MediaWiki lets a page have.
_SHORT, _LONG = 2000, 8 * 2**20
_CLOSES = {"]]": "[[", "]": "[", "-->": "<!--"}
# Tags that stand alone.
_SINGLE = frozenset(("br", "wbr", "hr", "meta", "link", "img", "li", "dt", "dd", "th", "td", "tr"))
# Tags in which mwparserfromhell looks for nothing but their end.
# fmt: off
_RAW_TAGS = frozenset((
    "categorytree", "ce", "chem", "gallery", "graph", "hiero", "imagemap", "inputbox", "math", "nowiki",
    "pre", "score", "section", "source", "syntaxhighlight", "templatedata", "timeline",
))
# fmt: on
_MARK = re.compile(
    r"""(?P<open>\{{2,}) | (?P<close>\}{2,}) | \[\[ | \]\] | \[(?=[a-z]*:|//) | \] | <!-- | -->
    | ^[ \t]?(?P<table>\{\|) | ^[ \t]?(?P<table_end>\|\}) | </(?P<end>[a-z][^\s<>]*)
    | <(?P<tag>[a-z][^\s<>/]*) (?P<attributes>[^<>]*) (?P<bracket>>?)""",
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)

# The parser calls itself for each end that a heading may have, until the stack is full.
_HEADINGS = re.compile(r"^=++(?:[^\n=]++=++){500}", re.MULTILINE)


def is_tangled(wikitext: str) -> bool:
    """Whether parsing the wikitext would take longer than any page is worth, or end the process."""
    size = len(wikitext)
    return (
        size > _LONG
        or _HEADINGS.search(wikitext) is not None
        or (size > _SHORT and cost(wikitext, _MOST_NANOSECONDS) > _MOST_NANOSECONDS)
    )


def cost(wikitext: str, enough: int) -> int:
    """About the nanoseconds that marks without an end cost, counted until it is `enough`.

    Takes time in proportion to the text.
    """
    marks, raw, read = _Marks(wikitext), _Raw(wikitext), 0
    for found in _MARK.finditer(wikitext):
        at = found.start()
        if at < read:
            continue
        if (end := raw.end(found)) > 0:
            read = end
        elif found["open"]:
            marks.open_parameters(len(found["open"]) % 2, at)
            for _ in range(len(found["open"]) // 2):
                marks.open("{{", at)
        elif found["close"]:
            size = len(found["close"])
            marks.close_parameters(size // 3 if size != 4 else 0)  # Four close two templates.
            for _ in range(len(found["close"]) // 2):
                marks.close("{{", at)
        elif found["tag"]:
            _tag(marks, found, at)
        else:
            _mark(marks, found, at)
        if marks.cost > enough:
            break
    return marks.finish()


def _mark(marks: "_Marks", found: re.Match[str], at: int) -> None:
    if found["end"]:
        marks.close(found["end"].lower(), at)
    elif found["table"]:
        marks.open("{|", at)
    elif found[0] in ("<!--", "[[", "["):
        marks.open(found[0], at)
    else:
        marks.close("{|" if found["table_end"] else _CLOSES[found[0]], at)


def _tag(marks: "_Marks", found: re.Match[str], at: int) -> None:
    name, attributes = found["tag"].lower(), found["attributes"]
    if not found["bracket"] or attributes.count('"') % 2 or attributes.count("'") % 2:
        marks.waste("<", at)
    elif not attributes.endswith("/"):
        marks.open(name, at)


class _Raw:
    """What no mark counts in: comments, and tags like <nowiki>."""

    def __init__(self, wikitext: str) -> None:
        self._text = wikitext.lower()
        self._endless = set[str]()

    def end(self, found: re.Match[str]) -> int:
        """Where what begins with a mark ends; 0 if the mark begins nothing of the kind, or it has no end."""
        name = (found["tag"] or "").lower()
        mark = "-->" if found[0] == "<!--" else f"</{name}" if name in _RAW_TAGS else ""
        if not mark or mark in self._endless or (name and found["attributes"].endswith("/")):
            return 0
        end = self._text.find(mark, found.end())
        if end < 0:
            self._endless.add(mark)
        return max(0, end)


class _Marks:
    """The marks that are open, and what those cost that nothing closes."""

    def __init__(self, wikitext: str) -> None:
        self._length = len(wikitext)
        self._scale = 1 + _ENTITIES * wikitext.count("&") // len(wikitext)
        self._open: list[tuple[str, int]] = []
        self._counts = Counter[str]()
        self._parameters: list[int] = []
        self._depth = self._cost = self._comments = self._passes = 0

    @property
    def cost(self) -> int:
        """Nanoseconds of the marks that are known to have no end."""
        comments = self._comments * (1 + self._passes) * _COMMENT_NANOSECONDS
        return self._cost * self._scale + comments

    def waste(self, kind: str, at: int, end: int | None = None) -> None:
        """A mark that nothing closes: tried up to the text's end, or to where it is known."""
        tried = (self._length if end is None else end) - at
        if kind == "<!--":
            self._comments += tried
        else:
            other = _SINGLE_NANOSECONDS if kind in _SINGLE else _OTHER_NANOSECONDS
            self._cost += tried * _NANOSECONDS.get(kind, other)
            self._passes += 1

    def open(self, kind: str, at: int) -> None:
        self._open.append((kind, at))
        self._counts[kind] += 1
        if kind not in _SINGLE:
            self._depth += 1
            if self._depth > _DEPTH:
                self.waste(kind, at)

    def open_parameters(self, number: int, at: int) -> None:
        """Three braces, which are tried as a parameter first, even where two of them are closed."""
        self._parameters += [at] * number

    def close_parameters(self, number: int) -> None:
        """Close the latest of these."""
        del self._parameters[max(0, len(self._parameters) - number) :]

    def close(self, kind: str, at: int) -> None:
        """Close the latest mark of a kind; what was opened behind it is never closed."""
        if not self._counts[kind] and kind.isalnum():  # The end of a tag is the end of tags that stand alone.
            while self._open and self._open[-1][0] in _SINGLE:
                self._pop(at)
        while self._counts[kind]:
            if self._open[-1][0] == kind:
                self._pop(None)
                return
            self._pop(at)

    def _pop(self, end: int | None) -> None:
        """Forget the latest mark: `end` is where another is closed instead of it."""
        kind, begin = self._open.pop()
        self._counts[kind] -= 1
        self._depth -= kind not in _SINGLE
        if end is not None:
            self.waste(kind, begin, end if kind in _SINGLE else None)

    def finish(self) -> int:
        """The cost of all, at the end of the text."""
        for kind, at in self._open:
            self.waste(kind, at, at if kind in _SINGLE else None)
        for at in self._parameters:
            self.waste("{{{", at)
        return self.cost
