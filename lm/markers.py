"""The markers that a language model writes itself, such as [1], [1, 2], (1), [Passage 2] or 【1】.

Nobody has checked them, so they are taken out. What only looks like one stays: an index in code, a year, the
(1) of a list, and what a passage has as it stands. One that its sentence needs becomes words: of "according
to [1]" comes "according to passage 1".

Decisions: docs/decisions/reader-and-citations.md.
"""

import re
from collections.abc import Sequence

_NAME = r"(?i:passages?|sources?|documents?|docs?|references?|refs?\.?|citations?|contexts?)"
_NUMBERS = r"\d{1,3}(?:\s?(?:,|;|&|and|to|-|–)\s?\d{1,3})*"
# Before a round bracket it is a link.
_SQUARE = rf"\[\^?(?:{_NAME}\s?)?#?{_NUMBERS}\](?!\()"
# These are markers wherever they stand.
_PLAIN = r"【[^】\n]{1,40}】|<sup>\[?\d{1,3}\]?</sup>"
# Behind a full stop, without a space: the sentence ends behind them.
ATTACHED = rf"(?:{_SQUARE}|{_PLAIN}|[¹²³⁴-⁹]+)*"

_CODE = r"`[^`\n]*`"
_ANY = rf"(?:{_SQUARE}|{_PLAIN}|\((?:{_SQUARE}|(?:[Ss]ee\s)?{_NAME}\s?{_NUMBERS})\))"
_FIRST = re.compile(rf"(\s*){_ANY}(?:\s?{_ANY})*(?::?\s+|\s*$)")
_SAYS = re.compile(r"(?:says|states|mentions|describes|notes|explains|tells|shows|lists|reports|does|and)\b")
_NEEDED = re.compile(
    rf"{_CODE}|\b(?P<before>{_NAME}|[Aa]ccording to|[Ss]ee|[Pp]er|(?:as|said|stated|described|mentioned) in)"
    rf"\s\[(?:{_NAME}\s?)?(?P<numbers>{_NUMBERS})\](?!\()"
)
# Not behind a word or a bracket: `items[0]` is code.
_APART = re.compile(rf"{_CODE}|\s{{0,9}}(?:(?<![\w\])]){_ANY}|{_PLAIN})(?:\s?{_ANY})*|(?<=[.,;!?])[¹²³⁴-⁹]+")
_CODE_SIGNS = frozenset("=([{+/<>")
# Code and lists have these too, so they must end the sentence.
_LAST = re.compile(
    rf"(?:(?P<index>(?:\[{_NUMBERS}\])+)|(?P<round>\s\({_NUMBERS}\)))(?=\s*(?:[.!?…]+[\"'”’)*_]*)?\s*$)"
)
_WORD_END = re.compile(r"[^\W_]{2}[)\"”*]*$")
_NUMBER = re.compile(r"\d+")


def without_markers(sentence: str, passages: Sequence[str]) -> str:
    """A sentence without its own markers. `passages` are the texts of those that the LM has read."""
    if first := _FIRST.match(sentence):
        sentence = first[1] + _opening(first, sentence[first.end() :])
    sentence = _NEEDED.sub(_worded, sentence)
    sentence = _APART.sub(_kept, sentence)
    last = _LAST.search(sentence)
    if last and _is_marker(last, passages):
        sentence = sentence[: last.start()] + sentence[last.end() :]
    return sentence


def _opening(marker: re.Match[str], rest: str) -> str:
    """What follows a marker at the beginning: "[1] says" needs it, "[1] The river" does not."""
    return f"Passage {', '.join(_NUMBER.findall(marker[0]))} {rest}" if _SAYS.match(rest) else rest


def _worded(found: re.Match[str]) -> str:
    """The marker as words, where its sentence needs it."""
    if found["before"] is None:
        return found[0]
    named = "" if re.fullmatch(_NAME, found["before"]) else "passage "
    return f"{found['before']} {named}{found['numbers']}"


def _kept(found: re.Match[str]) -> str:
    """What stays of what looks like a marker: all of it in code."""
    before = found.string[: found.start()].rstrip()[-1:]
    return found[0] if found[0].startswith("`") or before in _CODE_SIGNS else ""


def _is_marker(found: re.Match[str], passages: Sequence[str]) -> bool:
    """Whether the numbers are those of passages, and none has the last word with them as it stands."""
    words = found.string[: found.start()].split()
    if not words or (found["index"] and not _WORD_END.search(words[-1])):
        return False
    numbers = [int(n) for n in _NUMBER.findall(found[0])]
    shown = words[-1] + found[0]
    return all(1 <= n <= len(passages) for n in numbers) and not any(shown in text for text in passages)
