"""The words of a prompt around its passages, as a conversation or as plain text.

Decisions: docs/decisions/reader-and-citations.md.
"""

from collections.abc import Sequence
from dataclasses import replace

from base.errors import RalmError
from lm.abstention import abstains
from lm.conditioning.packing import Block
from lm.conditioning.settings import Conditioning
from lm.conditioning.shots import Shot
from lm.conditioning.sources import Request
from lm.prompts import Message, Prompt

WITH_PASSAGES = (
    "Answer the question in one short sentence, using only what the passages say. "
    "If they do not say it, say that you do not know."
)
ALONE = "Answer the question in one short sentence."
# Behind an instruction of somebody else's, which says how to answer.
GROUNDED = "Use only what the passages say. If they do not say it, say that you do not know."


def write(how: Conditioning, request: Request, packed: Sequence[str]) -> Prompt:
    """A prompt of a question and packed passages, best first; of an empty one nothing but the instruction."""
    if request.plain:
        return _plain(request, packed)
    if how.prompt == "few-shot":
        if request.tools:
            raise RalmError("A few-shot prompt is plain text, in which tools have no place: leave them out.")
        return few_shot(request, packed, how.shots)
    return _turns(request, packed)


def _plain(request: Request, packed: Sequence[str]) -> Prompt:
    """A text to be gone on with, behind passages."""
    if not packed:
        return Prompt(text=request.question, tokens=request.tokens)
    return Prompt(text=_context(packed) + request.question, passages=len(packed))


def conversation(question: str, packed: Sequence[str], history: Sequence[Message] = ()) -> Prompt:
    """What to put to the LM: instruction, earlier turns, passages and question."""
    return _turns(Request(question, tuple(history)), packed)


def _turns(request: Request, packed: Sequence[str]) -> Prompt:
    asked = f"{_context(packed)}Question: {request.question}" if packed else request.question
    turns = [*_instructed(request, packed), Message("user", asked), *request.following]
    return Prompt(tuple(turns), passages=len(packed), tools=request.tools)


def _instructed(request: Request, packed: Sequence[str]) -> list[Message]:
    """The earlier turns behind our instruction; in one system turn with theirs, which comes first.

    Most templates take one system turn, at the beginning. How to answer theirs says: ours adds what passages
    are for.
    """
    history = list(request.history)
    if request.bare:
        return history
    if history and history[0].role == "system":
        if packed:
            history[0] = replace(history[0], content=f"{history[0].content}\n\n{GROUNDED}")
        return history
    return [Message("system", WITH_PASSAGES if packed else ALONE), *history]


def few_shot(request: Request, packed: Sequence[str], shots: Sequence[Shot]) -> Prompt:
    """The same as a plain text, behind examples: with passages, if there are some to be read.

    Without any, those are left out that do not know the answer: it is the passages that lack it.
    """
    examples = [_example(shot, bool(packed)) for shot in shots if packed or not abstains(shot.answer)]
    turns = [_turn(message) for message in (*request.history, *request.following)]
    asked = f"{_context(packed)}Question: {request.question}\nAnswer:"
    text = "\n\n".join([WITH_PASSAGES if packed else ALONE, *examples, *turns, asked])
    return Prompt(text=text, passages=len(packed))


def _context(packed: Sequence[str]) -> str:
    # The best passage last, next to the question: small models read best what they read last. On 60
    # SQuAD questions SmolLM2-135M finds 25% of the answers this way, 13% the other way round.
    return "".join(f"{passage}\n\n" for passage in reversed(packed) if passage)


def _example(shot: Shot, reads: bool) -> str:
    blocks = [Block(number + 1, number, one.title, one.text) for number, one in enumerate(shot.passages)]
    context = _context([block.written for block in blocks]) if reads else ""
    return f"{context}Question: {shot.question}\nAnswer: {shot.answer}"


def _turn(message: Message) -> str:
    """An earlier turn as the examples write theirs."""
    names = {"user": "Question: ", "assistant": "Answer: "}
    return names.get(message.role, "") + message.content
