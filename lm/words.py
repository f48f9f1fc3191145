"""The words of a text that carry its meaning, each in one spelling.

Decisions: docs/decisions/reader-and-citations.md.
"""

import re
import unicodedata

# Of scripts without spaces each character is a word.
_UNSPACED = r"\u3040-\u30ff\u3400-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+(?:'[^\W{_UNSPACED}]+)*")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
STOPWORDS = frozenset(
    """
    a about after all also am an and any are aren't as at be because been before being both but by can
    can't cannot could couldn't did didn't do does doesn't doing don't for from had hadn't has hasn't have
    haven't having he her here him his how i i'm i've if in into is isn't it its just know me more most my
    no nor not of on once only or other our out over own passage passages say says she should so some such
    than that the their them then there these they they're this those through to too under until up very
    was wasn't we were weren't what when where which while who whom why will with won't would wouldn't yes
    you your
    """.split()  # noqa: SIM905  (a hundred lines as a list)
)


def words(text: str) -> list[str]:
    """All words of a text in one spelling: lower case, no genitive's 's, no commas of thousands."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return [word.removesuffix("'s") for word in _WORD.findall(_THOUSANDS.sub("", plain))]


def content_words(text: str) -> set[str]:
    """The words of a text that carry its meaning; none of a single letter alone, such as a choice's."""
    found = {word for word in words(text) if word not in STOPWORDS}
    return set() if len(found) == 1 and _is_letter(next(iter(found))) else found


def _is_letter(word: str) -> bool:
    return len(word) == 1 and word.isascii() and word.isalpha()
