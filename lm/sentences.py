"""Where the sentences of an answer end, found while the answer is still being written.

A line end is none, for models wrap their lines; but a blank line is, and so is a line behind which a list, a
heading, a table or code begins. A full stop is none behind an abbreviation.
"""

import re

# What stands in front of code, and behind it.
CODE = "```"
_STOP = re.compile(r"[.!?]+[\"'”’)\]*_]*(?=\s)|\n")
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘*_]+$")
# Longer ones are no abbreviation.
_LONGEST_WORD = 40
# A line that begins so is no continuation of the one before.
_BEGINS = re.compile(r"[ \t\r]*(?:\n|[-*+•–][ \t]|\d{1,3}[.)][ \t]|#{1,6}[ \t]|[>|]|```)")
# It may still become such a line.
_MAY_BEGIN = re.compile(r"[ \t\r]*(?:[-*+•–]|\d{1,3}[.)]?|#{1,6}|`{1,2})?")
# These lines end at their end, whatever follows.
_OWN_LINE = re.compile(r"\s*(?:#{1,6}[ \t]|\|)[^\n]*")
_LIST_NUMBER = re.compile(r"\s*\d{1,3}")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
# Something follows them, always.
_ABBREVIATIONS = frozenset(
    """
    adm approx apr aug brig ca capt cf col cpl dec dr esp feb gen gov hon jan jul jun lt maj messrs mr mrs ms
    mt nov oct prof rep rev sen sept sgt sr st supt viz vs
    """.split()  # noqa: SIM905
)
# A number follows them; else they are words, as in "no.".
_OF_NUMBERS = frozenset("art ch col eq eqs fig figs no nos op pp pt sec vol vols".split())  # noqa: SIM905
# They end a sentence as often as not: the next letter tells.
_ALSO_LAST = frozenset("a.m al ave bros co corp dept ed eds est etc ft inc jr ltd p.m".split())  # noqa: SIM905


def sentence_end(text: str, whole: bool = False) -> int | None:
    """Where the first sentence of a text ends; None if it does not, or if what follows may still decide it.

    `whole`: nothing follows.
    """
    if text.lstrip().startswith(CODE):
        return _block_end(text, whole)
    if not whole and CODE.startswith(text.strip()):
        return None
    first = len(text) - len(text.lstrip())
    for stop in _STOP.finditer(text, first):
        found = (
            _line_ends(text, stop.start(), whole) if stop[0] == "\n" else _sentence_ends(text, stop, whole)
        )
        if found is None:
            return None
        if found:
            return stop.end()
    return None


def _block_end(text: str, whole: bool) -> int | None:
    """Code ends with the line that closes it."""
    begin = text.index(CODE) + len(CODE)
    close = text.find(f"\n{CODE}", begin)
    return None if close < 0 else close + 1 + len(CODE)


def _line_ends(text: str, at: int, whole: bool) -> bool | None:
    """Whether the line end at a place ends a sentence; None if what follows decides it."""
    if _OWN_LINE.fullmatch(text, 0, at):
        return True
    if not whole and _MAY_BEGIN.fullmatch(text, at + 1):
        return None
    return bool(_BEGINS.match(text, at + 1))


def _sentence_ends(text: str, stop: re.Match[str], whole: bool) -> bool | None:
    """Whether a full stop, or a sign like it, ends a sentence; None if what follows decides it."""
    if not stop[0].startswith(".") or stop[0].startswith(".."):
        return True
    if _LIST_NUMBER.fullmatch(text, 0, stop.start()):
        return False
    found = _LAST_WORD.search(text, max(0, stop.start() - _LONGEST_WORD), stop.start())
    word = found[0].lower() if found else ""
    if word in _OF_NUMBERS or word in _ALSO_LAST:
        following = text[stop.end() :].lstrip()
        if not following:
            return True if whole else None
        return not (following[0].isdigit() if word in _OF_NUMBERS else following[0].islower())
    return word not in _ABBREVIATIONS and not _INITIALS.fullmatch(word)
