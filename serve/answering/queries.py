"""What to search for in a conversation: a question that leans on earlier ones names less than it asks about.

Knows English pronouns; knows no model and no store.

Decisions: docs/decisions/searching.md.
"""

import re
from collections.abc import Iterator, Sequence

from lm.facts import names
from lm.prompts import Message
from lm.sentences import sentence_end
from lm.words import content_words, words

# Words that stand for something named before, if the question does not name it itself.
_LEANS = re.compile(
    r"\b(?:it|its|itself|they|them|their|theirs|he|him|his|she|her|hers|this|these|those)\b"
    r"|^\W*(?:and|but|so|or|then|what about|how about|what else|why|when was that)\b",
    re.IGNORECASE,
)
# Turns that a query is made of: three questions with their answers.
RECENT = 6
# A question of fewer content words asks about something else.
_FEW = 2


def leans(question: str) -> bool:
    """Whether a question cannot be understood by itself."""
    return _LEANS.search(question) is not None or len(content_words(question)) < _FEW


def query_of(question: str, history: Sequence[Message]) -> str:
    """What to search for: a question that leans on others stands behind the names that were said of late.

    Where none was, it stands behind what the user asked.
    """
    said = [turn for turn in history if turn.role in ("user", "assistant") and turn.content.strip()]
    if not said or not leans(question):
        return question
    recent = said[-RECENT:]
    found = [word for turn in recent for one in _sentences(turn.content) for word in _named(one)]
    if found:
        return " ".join([*dict.fromkeys(found), question])
    return "\n".join([*(turn.content for turn in recent if turn.role == "user"), question])


def _sentences(text: str) -> Iterator[str]:
    while (end := sentence_end(text, whole=True)) is not None:
        yield text[:end]
        text = text[end:]
    yield text


def _named(sentence: str) -> list[str]:
    """The names of a sentence, in the order that they stand in it."""
    known = names(sentence)
    return [word for word in words(sentence) if word in known]
