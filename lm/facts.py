"""The numbers and names of a sentence: what its source must hold as it stands.

Dates are both. Knows English words for numbers; what is a name, capitals tell, so that of a first word, which
always has one, only those count that begin no sentence otherwise.

Decisions: docs/decisions/reader-and-citations.md.
"""

import re
import unicodedata

from lm.words import STOPWORDS, words

_SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen twenty"""
_SPELLED = {word: str(number) for number, word in enumerate(_SMALL.split())} | {
    word: str(10 * number)
    for number, word in enumerate("thirty forty fifty sixty seventy eighty ninety".split(), 3)  # noqa: SIM905
}
_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
# What numbers entries of a list, or passages, is no fact.
_NUMBERING = re.compile(r"^\s*(?:\d{1,3}|[A-Za-z])[.)]\s|\b[Pp]assages? \d+(?:, \d+)*")
# A word with a capital, and whether nothing but signs stands before it.
_CAPITAL = re.compile(r"(?<![\w'’])[^\W\d_a-z][\w'’]*")
_SIGNS = re.compile(r"[\W_]*")


def numbers(text: str) -> set[str]:
    """The numbers of a text in one spelling: "eight" is 8, "1,000" is 1000."""
    plain = _THOUSANDS.sub("", unicodedata.normalize("NFKC", text))
    spelled = {_SPELLED[word] for word in re.findall(r"[a-z]+", plain.lower()) if word in _SPELLED}
    return set(_NUMBER.findall(plain)) | spelled


def names(sentence: str) -> set[str]:
    """The words of a sentence, in one spelling, that are names or parts of some."""
    found: set[str] = set()
    first = True
    for word in _CAPITAL.finditer(sentence):
        if not word[0][0].isupper():
            continue  # A small letter beyond a to z, or one of a script without capitals.
        begins = first and _SIGNS.fullmatch(sentence, 0, word.start()) is not None
        first = False
        spelled = {one for one in words(word[0]) if one not in STOPWORDS and len(one) > 1}
        if not (begins and _is_plain(sentence, word)):
            found |= spelled
    return found


def _is_plain(sentence: str, word: re.Match[str]) -> bool:
    """Whether a first word may be none of a name: another one with a capital does not follow it."""
    rest = sentence[word.end() :]
    follows = re.match(r"\s(\w)", rest)
    return not (follows and follows[1].isupper()) and re.search(r"\w", rest) is not None


class Facts:
    """The numbers and names of a sentence."""

    def __init__(self, sentence: str) -> None:
        plain = _NUMBERING.sub(" ", sentence)
        # One is most often no number.
        self.numbers = numbers(re.sub(r"\bone\b", " ", plain, flags=re.IGNORECASE))
        self.names = names(plain)

    def stand_in(self, source: "Source") -> bool:
        """Whether a source holds all of them."""
        return self.numbers <= source.numbers and self.names <= source.words


class Source:
    """A text that facts may stand in."""

    def __init__(self, text: str) -> None:
        self.numbers, self.words = numbers(text), set(words(text))
