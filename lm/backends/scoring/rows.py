"""Texts to rows of tokens: which are scored, and which stand before them.

Context and text are tokenized as one: a text that is tokenized apart may get a stray first token, or lose a
space, and is scored wrongly. Knows tokenizers; knows no model.

Decisions: docs/decisions/scoring.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from base.errors import RalmError
from lm.backends.scoring.sharing import common
from lm.reader import Row, Windows

# Windows of a model that says no length of its context.
UNBOUNDED = 1 << 31
_WINDOW = 2048


class Tokens:
    """A tokenizer, and what it puts before a text."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        begin = tokenizer.bos_token_id
        # The token that stands before a text's first one.
        self.start = int(tokenizer.eos_token_id if begin is None else begin)
        self._start_text: str = tokenizer.decode([self.start])
        self._beginning = self._put_before()

    def _put_before(self) -> tuple[int, ...]:
        """The tokens that the tokenizer itself puts before a text: <s> with Llama's, none with GPT-2's."""
        bare, whole = self.of("a"), tuple(self._tokenizer("a")["input_ids"])
        for at in range(len(whole) - len(bare) + 1):
            if whole[at : at + len(bare)] == bare:
                return whole[:at]
        return ()

    def of(self, text: str) -> tuple[int, ...]:
        """The tokens of a text, without special ones."""
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def text(self, tokens: Sequence[int]) -> str:
        """The text of some tokens; where they begin or end within a character, it stands replaced."""
        found: str = self._tokenizer.decode(list(tokens), clean_up_tokenization_spaces=False)
        return found

    def opening(self, text: str) -> tuple[int, ...]:
        """What the tokenizer puts before a text: none where that is written in the text."""
        return () if text.startswith(self._start_text) else self._beginning

    def behind(self, context: str, text: str, template: bool = False) -> Row:
        """A text behind a context, from one tokenization, parted where the context's tokens end.

        White space at the end of a plain context belongs to the text: tokenizers put a space before its word.
        A token that reaches from one into the other belongs to the text, which is scored whole. Before plain
        contexts stands what the tokenizer puts before a text; a chat `template` has written that itself. An
        empty context is the start token.
        """
        if not text:
            return Row((self.start,), ())
        if not template:
            context, text = context.rstrip(), context[len(context.rstrip()) :] + text
        if not context:
            ids = self.of(text)
            return Row((self.start,), ids[1:] if ids[:1] == (self.start,) else ids)
        before = () if template else self.opening(context)
        head, whole = self.of(context), self.of(context + text)
        same = common(head, whole)
        return Row((before + whole[:same]) or (self.start,), whole[same:])


def fitted(row: Row, longest: int, shorten: bool, name: str) -> tuple[Row, int]:
    """A row that a model of so many tokens takes, and how many of the oldest tokens were left out for that.

    The last token is only scored, never read. Raises RalmError for a row that is too long, unless its context
    may be shortened and at least one token of it is left.
    """
    over = len(row.context) + len(row.text) - 1 - longest
    if over <= 0:
        return row, 0
    if not shorten or over >= len(row.context):
        mend = "shorten both" if not shorten else "score the text in windows"
        raise RalmError(
            f"The text to be scored has {len(row.text):,} tokens behind {len(row.context):,} of context, but "
            f"{name} holds {longest:,}: {mend}."
        )
    return replace(row, context=row.context[over:]), over


def windows(ids: Sequence[int], start: int, longest: int, how: Windows) -> Iterator[Row]:
    """A text in rows, each token scored once: behind as many as a window holds.

    The first window begins with the `start` token and scores all of its tokens. Each one behind it goes on by
    a stride. Raises RalmError for a window longer than the model's context, or a stride longer than it.
    """
    size, stride = how.within(_WINDOW if longest >= UNBOUNDED else longest)
    ids, end = tuple(ids), min(size, len(ids))
    yield Row((start,), ids[:end])
    while end < len(ids):
        done, end = end, min(end + stride, len(ids))
        yield Row(ids[end - size - 1 : done], ids[done:end])
