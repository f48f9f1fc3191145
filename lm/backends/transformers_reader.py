"""The reader in this process: a prompt to text by a transformers model, in one of several precisions.

Knows models and tokens; knows no passages.

Decisions: docs/decisions/reader-and-citations.md.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from threading import Lock, Thread
from typing import Any

from base.errors import RalmError
from lm.backends.adapters import Abstention, abstention
from lm.backends.generation.drafts import Draft
from lm.backends.generation.room import kept_bytes, room_of
from lm.backends.generation.rows import Forward
from lm.backends.generation.vocabulary import Doubted, Vocabulary
from lm.backends.generation.writing import Writer
from lm.backends.loading import load, quiet_imports
from lm.backends.memory import measured_bytes
from lm.backends.reader_choice import ReaderChoice
from lm.backends.scoring.likelihoods import Likelihoods
from lm.backends.scoring.rows import Tokens
from lm.backends.scoring.scorer import Scorer
from lm.backends.stopping import End
from lm.backends.template import written
from lm.backends.threads import paced
from lm.backends.weights import Weights
from lm.batches import by_length
from lm.pending import Pending
from lm.prompts import Asked, Prompt, prompts_of
from lm.reader import (
    WHOLE,
    Completion,
    Continuation,
    Likelihood,
    Position,
    Row,
    Sampling,
    TextStream,
    Windows,
)


class TransformersReader:
    """A causal language model of transformers, held in this process. One batch at a time.

    An adapter is attached to prompts that hold passages alone: without them the reader is the plain one, to
    the last bit.
    """

    def __init__(self, choice: ReaderChoice = ReaderChoice()) -> None:
        choice.require()
        quiet_imports()
        weights = Weights.find(choice.name, choice.allow_pickle)
        self.name = weights.name
        self.adapter = choice.adapter
        loaded = load(weights, choice)
        self.quantization, self._tokenizer, self._model = loaded.quantization, loaded.tokenizer, loaded.model
        adapter = choice.adapter or weights.adapter
        self._adapted = adapter is not None
        if self._tokenizer.pad_token is None:
            # What stands there is masked: any token will do.
            self._tokenizer.pad_token = self._tokenizer.eos_token or self._tokenizer.convert_ids_to_tokens(0)
        self.measured_bytes = measured_bytes(self._model)
        # Models without a fixed length of context do not say one.
        self.context_tokens = int(getattr(self._model.config, "max_position_embeddings", None) or 2**31)
        end = self._model.generation_config.eos_token_id
        said = abstention(adapter) if adapter else None
        ends = {*end} if isinstance(end, list) else {end}
        self._vocabulary = Vocabulary(
            self._tokenizer,
            ends,
            self._doubted(said, min(ends)) if said else None,
            self._model.config.get_text_config().vocab_size,
        )
        forward = Forward(self._model, self._tokenizer.pad_token_id)
        self._writer = Writer(forward, kept_bytes(self._model.device))
        self.room = room_of(self._model)
        # Generation is one user's at a time: two at once would share the same cores.
        self._busy = Lock()
        self._end = End()
        self._likelihoods = Likelihoods(
            self.name,
            self.context_tokens,
            Tokens(self._tokenizer),
            Scorer(self._model),
            self.written,
            self._turn,
            self._adapted,
            self._end.check,
        )

    def _doubted(self, said: Abstention, end: int) -> Doubted:
        token, *rest = self._tokenizer(said.text, add_special_tokens=False)["input_ids"]
        return Doubted(token, said.bound, (*rest, end), said.unless)

    def stop(self) -> None:
        """Let what is being generated end after its next token, and whoever asks for more be refused.

        Those get a ReaderStopped. For a process that is to end: in a thread that computes it would crash.
        """
        self._end.come()

    @property
    def tokenizer_json(self) -> str | None:
        """Its tokenizer as the library `tokenizers` reads it; None for one of another kind."""
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        return None if backend is None else str(backend.to_str())

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, without special ones."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def prompt_tokens(self, prompt: Prompt) -> int:
        """Tokens of a prompt as the model sees it: template and special ones included."""
        return len(self._ids(prompt))

    def _ids(self, prompt: Prompt) -> list[int]:
        if prompt.tokens:
            self._vocabulary.require(prompt.tokens)
            return list(prompt.tokens)
        text = self.written(prompt)
        # A chat template has written the special tokens: the tokenizer must not add its own.
        tokens = self._likelihoods.tokens
        before = () if prompt.conversation else tokens.opening(text)
        return [*before, *tokens.of(text)]

    def written(self, prompt: Prompt) -> str:
        """A prompt as text; a conversation as this model's own chat template writes it, up to its turn."""
        return written(self._tokenizer, prompt)

    def generate(self, asked: Sequence[Asked], sampling: Sampling) -> list[Completion]:
        """Continue several prompts, in batches of like length."""
        drafts = [self.prepare(Pending(one, sampling)) for one in asked]
        for batch in by_length(drafts, self.room):
            self.read(batch)
        return [draft.pending.completion() for draft in drafts]

    def stream(self, asked: Asked, sampling: Sampling) -> TextStream:
        """Continue one prompt, in pieces as they come. A prompt that is too long fails here."""
        draft = self.prepare(Pending(asked, sampling))

        def work() -> None:
            # The model is taken and given back by this thread, which always ends: a generator may
            # be left standing between two pieces for ever, by a client that went away.
            try:
                self.read([draft])
            except BaseException as error:  # noqa: BLE001  (raised again by whoever reads)
                draft.pending.end(error)

        stream = draft.pending.stream()
        pieces = stream.pieces

        def begun() -> Iterator[str]:
            Thread(target=work, daemon=True).start()
            yield from pieces

        stream.pieces = begun()
        return stream

    def prepare(self, pending: Pending) -> Draft:
        """What is to be read for a request. Raises RalmError for a prompt beyond the context."""
        rows = [self._ids(prompt) or [self.start] for prompt in prompts_of(pending.asked)]
        found = Draft(pending, rows, self._wants_adapter(pending.asked), self._vocabulary)
        if found.longest > self.context_tokens:
            raise RalmError(
                f"The prompt has {found.prompt_tokens} tokens and the answer may take "
                f"{pending.sampling.max_tokens}, but {self.name} holds {self.context_tokens}: shorten the "
                "prompt or lower max_tokens."
            )
        return found

    def _wants_adapter(self, asked: Asked) -> bool:
        return self._adapted and any(prompt.passages for prompt in prompts_of(asked))

    def read(
        self,
        drafts: Sequence[Draft],
        more: Callable[[Sequence[Draft]], Sequence[Draft]] = lambda reading: [],
    ) -> None:
        """Continue drafts of one kind, as one batch. Each is given its text; an error is raised.

        `more`, told which are being read, gives those that are to join them.
        """
        with self._busy, self._attached(drafts[0].kind), paced(self.measured_bytes) as pace:

            def before(tokens: int) -> None:
                self._end.check()
                pace(tokens)

            self._writer.write(drafts, before, more)

    @property
    def start(self) -> int:
        """The token that stands before a text's first one."""
        return self._likelihoods.tokens.start

    def tokens(self, text: str) -> tuple[int, ...]:
        """The tokens of a text, without special ones."""
        return self._likelihoods.tokens.of(text)

    def ids(self, prompt: Prompt) -> tuple[int, ...]:
        """The tokens of a prompt as the model sees it."""
        return tuple(self._ids(prompt))

    def said(self, tokens: Sequence[int]) -> str:
        """The text of some tokens. Raises RalmError for one that there is not."""
        self._vocabulary.require(tokens)
        return self.text_of(tokens)

    def vocabulary(self) -> Mapping[str, Any]:
        """What its tokenizer is, as vLLM's servers tell it."""
        one = self._tokenizer
        names = ("bos_token", "eos_token", "pad_token", "unk_token", "chat_template")
        found = {"tokenizer_class": type(one).__name__, "vocab_size": len(one)}
        return found | {name: getattr(one, name, None) for name in names}

    def text_of(self, tokens: Sequence[int]) -> str:
        """The text of some tokens."""
        return self._likelihoods.tokens.text(tokens)

    def loglikelihood(self, continuations: Sequence[Continuation]) -> list[Likelihood]:
        """How likely each text is behind what is asked, from one tokenization of both."""
        return self._likelihoods.behind(continuations)

    def loglikelihood_rolling(self, texts: Sequence[str], how: Windows = WHOLE) -> list[Likelihood]:
        """How likely each text is from its first token on, each token scored once."""
        return self._likelihoods.rolling(texts, how)

    def echo(self, prompts: Sequence[Prompt], top: int | None) -> list[tuple[Position, ...]]:
        """The tokens of plain prompts, each by its likelihood behind those before it."""
        each = [self._ids(prompt) for prompt in prompts]
        told = [at for at, ids in enumerate(each) if top is not None and len(ids) > 1]
        rows = [Row(tuple(each[at][:1]), tuple(each[at][1:])) for at in told]
        ranked = dict(zip(told, self._likelihoods.ranked(rows, top or 0) if rows else [], strict=True))
        return [self._vocabulary.positions(ids, ranked.get(at)) for at, ids in enumerate(each)]

    def score(self, rows: Sequence[Row]) -> list[tuple[float, ...]]:
        """Of each row the log-probability of each token of its text, in nats, without the adapter."""
        plain = [replace(row, passages=0) for row in rows]
        return [tuple(logs.tolist()) for logs, _ in self._likelihoods.rows(plain)]

    @contextmanager
    def _turn(self, adapted: bool) -> Iterator[None]:
        """The model for oneself, with the adapter or as the plain one."""
        with self._busy, self._attached(adapted), paced(self.measured_bytes):
            yield

    def _attached(self, adapted: bool) -> Any:
        """With the adapter, or as the plain model."""
        return self._model.disable_adapter() if self._adapted and not adapted else nullcontext()
