"""Where the sentences of an answer end, found while the answer is still being written.

A line end is none, for models wrap their lines; but a blank line is, and so is a line behind which a list, a
heading, a table or code begins. A full stop is none behind an abbreviation, nor where a small letter follows.
"""

import re

from lm.markers import ATTACHED

# What stands in front of code, and behind it.
CODE = "```"
_CLOSERS = r"[\"'”’»)\]*_]*"
_STOP = re.compile(rf"[.!?…]+{_CLOSERS}{ATTACHED}(?=\s)|[。！？]+[」』”’）]*|\n")
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘*_]+$")
# Longer ones are no abbreviation.
_LONGEST_WORD = 40
# A line that begins so is no continuation of the one before.
_BEGINS = re.compile(
    r"[ \t\r]*(?:\n|[-*+•–][ \t]|\d{1,3}[.)][ \t]|\[\d{1,3}\][ \t]*[^\W\d_a-z]|#{1,6}[ \t]|[>|]|```)"
)
# It may still become such a line.
_MAY_BEGIN = re.compile(r"[ \t\r]*(?:[-*+•–]|\d{1,3}[.)]?|\[(?:\d{1,3}(?:\][ \t]*)?)?|#{1,6}|`{1,2})?")
# These lines end at their end, whatever follows.
_OWN_LINE = re.compile(r"\s*(?:#{1,6}[ \t]|\|)[^\n]*")
# The number or the letter of a list's entry.
_ENTRY = re.compile(r"\s*(?:\d{1,3}|[^\W\d_])")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
# Something follows them, always.
_ABBREVIATIONS = frozenset(
    """
    adm approx apr aug bp brig ca capt cf col cpl dec dr e.g esp feb fr gen gov hon i.e jan jul jun lt lat lit
    maj messrs mr mrs ms mt nov oct pres prof rep rev sen sept sgt supt univ ven viz vs
    """.split()  # noqa: SIM905
)
# A number follows them; else they are words, as in "no.".
_OF_NUMBERS = frozenset("art ch col eq eqs fig figs no nos op pp pt sec vol vols".split())  # noqa: SIM905
# A name follows them, or a bracket, or else a sentence begins: its first word tells. So with initials.
_BEFORE_NAMES = frozenset("al sr st".split())  # noqa: SIM905
_FIRST_WORD = re.compile(r"[^\W\d_]+")
_BEGINNERS = frozenset(
    """
    After All Although And Another As At Because Before Both But By During Each Following For From He Her His
    However If In It Its Many Most No On One Other Our She Since So Some That The Their Then There These They
    This Those Though Through To Today Under Until We What When Where Which While Who Why With You
    """.split()  # noqa: SIM905
)


def sentence_end(text: str, whole: bool = False) -> int | None:
    """Where the first sentence of a text ends; None if it does not, or if what follows may still decide it.

    `whole`: nothing follows.
    """
    if text.lstrip().startswith(CODE):
        return _block_end(text, whole)
    if not whole and CODE.startswith(text.strip()):
        return None
    return _end(text, whole)[0]


def settled(text: str) -> int:
    """How many characters of a text belong to its first sentence, whatever follows."""
    return len(text) if text.lstrip().startswith(CODE) else _end(text, whole=False)[1]


def _end(text: str, whole: bool) -> tuple[int | None, int]:
    """Where the first sentence ends, if that is known, and up to where a text certainly belongs to it."""
    first = len(text) - len(text.lstrip())
    for stop in _STOP.finditer(text, first):
        found = (
            _line_ends(text, stop.start(), whole) if stop[0] == "\n" else _sentence_ends(text, stop, whole)
        )
        if found is None:
            return None, stop.end()
        if found:
            return stop.end(), stop.end()
    return None, len(text)


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
    following = text[stop.end() :].lstrip()
    if not following:
        return True if whole else None
    if following[0].islower():
        return False
    if not stop[0].startswith(".") or stop[0].startswith(".."):
        return True
    if _ENTRY.fullmatch(text, 0, stop.start()):
        return False
    found = _LAST_WORD.search(text, max(0, stop.start() - _LONGEST_WORD), stop.start())
    word = found[0].lower() if found else ""
    if word in _OF_NUMBERS:
        return not following[0].isdigit()
    if word in _BEFORE_NAMES or (_INITIALS.fullmatch(word) and word not in _ABBREVIATIONS):
        return _begins_sentence(following, whole)
    return word not in _ABBREVIATIONS


def _begins_sentence(text: str, whole: bool) -> bool | None:
    """Whether a text begins with a word that begins sentences, but no name; None if the word may go on."""
    first = _FIRST_WORD.match(text)
    if first and first.end() == len(text) and not whole:
        return None
    return first is not None and first[0] in _BEGINNERS
