"""A text while it is being written: tokens come one by one, pieces of text go to whoever asked.

Knows tokens and where a text ends; knows no model.
"""

from typing import Any

from base.errors import RalmError
from lm.backends.generation.choosing import Choice
from lm.backends.generation.vocabulary import Vocabulary
from lm.pending import Pending
from lm.reader import Completion
from lm.stop_strings import Stops, Trim


class Decoder:
    """Tokens to the text that each adds; a character that is not whole yet is held back."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        # The tokens of the piece before stand in front of the new ones: they tell how both are joined.
        self._ids: list[int] = []
        self._given, self._before = 0, ""

    def _decode(self, ids: list[int]) -> str:
        found: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return found

    def add(self, token: int) -> str:
        """The text that can be given now that this token has come."""
        self._ids.append(token)
        whole = self._decode(self._ids)
        if whole.endswith("\ufffd"):
            return ""
        piece = whole[len(self._before) :]
        self._ids = self._ids[self._given :]
        self._given, self._before = len(self._ids), self._decode(self._ids)
        return piece

    def rest(self) -> str:
        """What was held back, when no more tokens come."""
        return self._decode(self._ids)[len(self._before) :]


class Draft:
    """One request's text: the tokens of its prompts, those written so far, and whether it has ended."""

    def __init__(self, pending: Pending, rows: list[list[int]], kind: bool, vocabulary: Vocabulary) -> None:
        """`rows` [prompts] are token ids; `kind`: only drafts of one kind are written together."""
        self.pending, self.rows, self.kind = pending, rows, kind
        self.ended = False
        self._vocabulary = vocabulary
        sampling = pending.sampling
        tokenizer = vocabulary.tokenizer
        begins = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in sampling.without]
        banned = [ids[0] for ids in begins if ids]
        self.choice = Choice.of(pending.asked, sampling, banned, vocabulary.abstention if kind else None)
        if sampling.only_supported and vocabulary.abstention is None:
            raise RalmError(
                "The reader has not learnt to abstain: leave only_supported out, or give it an adapter of "
                "`ralm tune`."
            )
        if sampling.schema is not None:
            self.choice.grammar = vocabulary.grammar(sampling.schema)
        self._tokens: list[int] = []
        self._decoder, self._stops, self._trim = Decoder(tokenizer), Stops(sampling.stop), Trim()

    @property
    def width(self) -> int:
        """The rows that it takes in a batch."""
        return len(self.rows)

    @property
    def reuses(self) -> bool:
        """Whether it may go on from what was read before: in 16 bits the last digits are others then.

        A draw goes by the last digits, so what is drawn, or has a seed, would not come out the same again.
        """
        return self.pending.sampling.temperature <= 0 and self.pending.sampling.seed is None

    @property
    def prompt_tokens(self) -> int:
        """The length of its longest prompt."""
        return max(len(row) for row in self.rows)

    @property
    def longest(self) -> int:
        """The most tokens that a row of it can come to."""
        return self.prompt_tokens + self.pending.sampling.max_tokens

    def take(self, token: int) -> None:
        """Write the next token. At the text's end its completion is given."""
        self.pending.writing()
        if not self.pending.wanted:
            self._end(finished=False)
        elif token in self._vocabulary.ends:
            self._end(finished=True)
        else:
            self._tokens.append(token)
            self._note(token)
            self._put(self._stops.passed(self._decoder.add(token)))
            if self._stops.found or len(self._tokens) >= self.pending.sampling.max_tokens:
                self._end(finished=False)

    def _note(self, token: int) -> None:
        """Tell how likely the token was, if that is asked for."""
        if self.choice.logs is not None:
            top = self.pending.sampling.logprobs or 0
            self.pending.positions.append(self._vocabulary.position(token, self.choice.logs, top))

    def _put(self, text: str) -> None:
        self.pending.put(text if self.pending.sampling.verbatim else self._trim.passed(text))

    def _end(self, finished: bool) -> None:
        self.ended = True
        sampling = self.pending.sampling
        self._put(self._stops.passed(self._decoder.rest()) + self._stops.rest())
        text = self._vocabulary.tokenizer.decode(self._tokens, skip_special_tokens=True)
        whole = Stops(sampling.stop)
        text = whole.passed(text) + whole.rest()
        text = text if sampling.verbatim else text.strip()
        finished = finished or self._stops.found or whole.found
        read, tokens, positions = len(self.rows[0]), len(self._tokens), tuple(self.pending.positions)
        self.pending.end(Completion(text, read, tokens, finished, positions, self.pending.took))
