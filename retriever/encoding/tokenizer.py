"""An encoder's tokenizer: text to token ids with character offsets, and the frame around them.

Knows token ids and where they lie in a text; knows nothing of the model.

Decisions: docs/decisions/encoders.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tokenizers
from numpy.typing import NDArray

from retriever.encoding.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one text: ids, and [start, end) of each in the text, in characters."""

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    word_starts: NDArray[np.bool_]


class EncoderTokenizer:
    """Tokenizes for one encoder.

    A model input is `prefix + ids + suffix`: special tokens and the passage prompt stand around the text's
    own ids, so ids made once at chunking are embedded without the text. A query's ids begin with its prompt,
    which is tokenized with it: a byte-level tokenizer makes one token of the end of one and the beginning of
    the other (":what").
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._tokenizer = _load(checkpoint)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.max_tokens = checkpoint.max_tokens
        before, after = self._frame()
        self._query_prompt = checkpoint.prompts["query"]
        self._prefix = {
            "query": before,
            "passage": np.concatenate([before, self._prompt_ids(checkpoint.prompts["passage"])]),
        }
        self._prompted = {
            "query": len(before) + len(self._ids(self._query_prompt)),
            "passage": len(self._prefix["passage"]),
        }
        self._suffix = after
        self.pad_id = self._pad_id()
        self.unknown_id = self._unknown_id()

    def _frame(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        bare = self._ids("a")
        framed = np.array(self._tokenizer.encode("a").ids, np.int32)
        at = next(i for i in range(len(framed) - len(bare) + 1) if (framed[i : i + len(bare)] == bare).all())
        return framed[:at], framed[at + len(bare) :]

    def _ids(self, text: str) -> NDArray[np.int32]:
        return np.array(self._tokenizer.encode(text, add_special_tokens=False).ids, np.int32)

    def _prompt_ids(self, prompt: str) -> NDArray[np.int32]:
        """What a prompt puts in front of a text's own tokens, which bring the space between them along."""
        bare, followed = self._ids(prompt.rstrip(" ")), self._ids(prompt + "a")
        return bare if np.array_equal(followed[: len(bare)], bare) else self._ids(prompt)

    def _pad_id(self) -> int:
        for token in ("[PAD]", "<pad>", "<|endoftext|>", "</s>"):
            found = self._tokenizer.token_to_id(token)
            if found is not None:
                return int(found)
        return 0  # Never attended to: the attention mask covers it.

    def _unknown_id(self) -> int | None:
        """The id of what the vocabulary does not hold; None if there is none, as where it holds all bytes."""
        # A unigram model does not tell its own.
        for token in (getattr(self._tokenizer.model, "unk_token", None), "[UNK]", "<unk>"):
            found = self._tokenizer.token_to_id(token) if token else None
            if found is not None:
                return int(found)
        return None

    def unknown(self, ids: NDArray[np.int32]) -> int:
        """How many of a text's own ids stand for what the vocabulary does not hold."""
        return 0 if self.unknown_id is None else int(np.count_nonzero(ids == self.unknown_id))

    def knows(self, query: str) -> bool:
        """Whether a query holds a token that is known; punctuation counts where there are no unknown ones."""
        found = self._tokenizer.encode(query, add_special_tokens=False)
        room = self.room("query")
        unknown = [one == self.unknown_id for one in found.ids[:room]]
        if not any(unknown):
            return bool(found.ids)
        # By the pieces themselves: the mark of a word's beginning may be one, and lie where its letter does.
        pieces = zip(unknown, found.tokens[:room], strict=True)
        return any(not one and any(map(str.isalnum, piece)) for one, piece in pieces)

    def room(self, kind: str) -> int:
        """How many ids fit into the frame of a "query" or a "passage"."""
        return self.max_tokens - len(self._prefix[kind]) - len(self._suffix)

    def longest(self, kind: str) -> int:
        """How many tokens of a "query" or a "passage" are read, behind its prompt."""
        return self.max_tokens - self._prompted[kind] - len(self._suffix)

    def prefix_length(self, kind: str) -> int:
        """Tokens in front of the text of a "query" or a "passage", its prompt among them."""
        return self._prompted[kind]

    def frame_length(self, kind: str) -> int:
        """Tokens around the ids of a "query" or a "passage"."""
        return len(self._prefix[kind]) + len(self._suffix)

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenize texts of any length, without special tokens."""
        return [_tokens(e) for e in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    def query_ids(self, queries: Sequence[str]) -> list[NDArray[np.int32]]:
        """Token ids of prompts and queries; what exceeds the model's limit is cut off at the end."""
        room = self.room("query")
        return [self._ids(self._query_prompt + query)[:room] for query in queries]

    def packed(
        self, ids: Sequence[NDArray[np.int32]], kind: str
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Texts' own ids framed, end to end: inputs, int64 [tokens of all], and the tokens of each text."""
        before, behind = self._prefix[kind], self._suffix
        own = np.array([len(one) for one in ids])
        lengths = own + len(before) + len(behind)
        starts = lengths.cumsum() - lengths
        inputs = np.empty(int(lengths.sum()), np.int64)
        columns = np.arange(len(inputs)) - np.repeat(starts, lengths)
        inputs[(columns >= len(before)) & (columns < np.repeat(own + len(before), lengths))] = np.concatenate(
            ids
        )
        inputs[starts[:, None] + np.arange(len(before))] = before
        inputs[(starts + len(before) + own)[:, None] + np.arange(len(behind))] = behind
        return inputs, lengths

    def padded(
        self, ids: Sequence[NDArray[np.int32]], kind: str
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Texts' own ids framed and padded to the longest: inputs and attention mask, int64 [texts, longest].

        Row by row in Python would take longer than a GPU takes to embed them.
        """
        before, behind = self._prefix[kind], self._suffix
        lengths = np.array([len(one) for one in ids])
        ends = len(before) + lengths
        columns = np.arange(int(ends.max()) + len(behind))
        inputs = np.full((len(ids), len(columns)), self.pad_id, np.int64)
        inputs[:, : len(before)] = before
        inputs[(columns >= len(before)) & (columns < ends[:, None])] = np.concatenate(ids)
        inputs[np.arange(len(ids))[:, None], ends[:, None] + np.arange(len(behind))] = behind
        return inputs, (columns < ends[:, None] + len(behind)).astype(np.int64)


def _tokens(encoding: tokenizers.Encoding) -> Tokens:
    offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
    # Tokens outside any word (None) begin one of their own.
    words = np.array([-1 if w is None else w for w in encoding.word_ids], np.int64)
    starts = np.ones(len(words), bool)
    starts[1:] = (words[1:] != words[:-1]) | (words[1:] < 0)
    return Tokens(np.array(encoding.ids, np.int32), offsets[:, 0], offsets[:, 1], starts)


def _load(checkpoint: Checkpoint) -> tokenizers.Tokenizer:
    path = checkpoint.folder / "tokenizer.json"
    if path.exists():
        return tokenizers.Tokenizer.from_file(str(path))
    from transformers import AutoTokenizer

    found: tokenizers.Tokenizer = AutoTokenizer.from_pretrained(checkpoint.folder).backend_tokenizer
    return found
