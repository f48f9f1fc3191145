"""The reader behind an OpenAI-compatible server (vLLM, SGLang, llama.cpp), or several replicas of one.

Knows prompts and texts; what the server is, and how it is asked, its neighbours know.

Decisions: docs/decisions/remote-readers.md.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from base.errors import RalmError
from lm.backends.remote.address import Address
from lm.backends.remote.completions import Written, pieces, reply, sampled
from lm.backends.remote.exchange import Exchange
from lm.backends.remote.replicas import Timing
from lm.backends.remote.scorer import EchoScorer, likelihood, mixed
from lm.backends.remote.server import Server, estimate
from lm.prompts import Asked, Ensemble, Prompt, prompts_of
from lm.reader import WHOLE, Completion, Continuation, Likelihood, Row, Sampling, TextStream, Windows
from lm.stop_strings import trimmed, until_stop

KEY = "RALM_READER_KEY"
# Requests that one call has under way on each replica.
CONCURRENT = 16
# Tokens that a chat template adds: to each turn, and before the reader's.
_TURN = 8

T = TypeVar("T")
U = TypeVar("U")


class RemoteReader:
    """A language model on a server. Many prompts are asked at once; how they are batched the server knows."""

    quantization = "as served"
    adapter = None
    measured_bytes = None

    def __init__(self, name: str, timing: Timing | None = None) -> None:
        """`name` is an address (`Address.of`). Raises RalmError for another, Unavailable if none answers."""
        address = Address.of(name)
        self._exchange = Exchange(address, os.environ.get(KEY, "").strip(), timing)
        self._server = Server(self._exchange)
        self._scorer = EchoScorer(self._exchange, self._server)
        self._most = CONCURRENT * len(address.urls)
        self.name = self._server.model
        self.context_tokens = self._server.context_tokens

    def stop(self) -> None:
        """End what is being asked, and refuse whoever asks for more with a ReaderStopped."""
        self._exchange.stop()

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, without special ones; more than it has, if the server does not tokenize."""
        return len(self._server.tokens(text)) if self._server.tokenizes else estimate(text)

    def prompt_tokens(self, prompt: Prompt) -> int:
        """Tokens of a prompt as the model sees it; more, if the server does not write its template."""
        if prompt.tokens:
            return len(prompt.tokens)
        if not prompt.conversation:
            return self.count_tokens(prompt.text)
        written = self._server.written(prompt.conversation)
        if written is not None:
            return self.count_tokens(written + prompt.text)
        texts = [turn.content for turn in prompt.conversation]
        return _TURN * (len(texts) + 1) + sum(map(self.count_tokens, [*texts, prompt.text]))

    def generate(self, asked: Sequence[Asked], sampling: Sampling) -> list[Completion]:
        """Continue each. Several are under way at once."""
        prompts = [self._single(one, sampling) for one in asked]
        return self._each(lambda prompt: self._completion(prompt, sampling), prompts)

    def stream(self, asked: Asked, sampling: Sampling) -> TextStream:
        """Continue one, in pieces as they come. The first is waited for: what is refused fails here."""
        prompt = self._single(asked, sampling)
        written = self._writable(prompt, sampling)
        body = written.body(self.name) | sampled(sampling) | {"stream": True}
        events = self._exchange.stream(written.route, body)

        def texts() -> Iterator[str]:
            for piece, cut_off in pieces(events):
                stream.finished = not cut_off
                yield piece

        given: list[str] = []

        def until() -> Iterator[str]:
            try:
                cut = until_stop(texts(), sampling.stop)
                for piece in cut if sampling.verbatim else trimmed(cut):
                    given.append(piece)
                    yield piece
            finally:
                events.close()

        def whole() -> Completion:
            text = "".join(given)
            return Completion(text, self.prompt_tokens(prompt), self.count_tokens(text), stream.finished)

        stream = TextStream(until(), events.close, whole)
        return stream

    def loglikelihood(self, continuations: Sequence[Continuation]) -> list[Likelihood]:
        """How likely each text is behind what is asked. Raises RalmError if the server cannot score."""
        return self._each(self._likelihood, continuations)

    def loglikelihood_rolling(self, texts: Sequence[str], how: Windows = WHOLE) -> list[Likelihood]:
        """How likely each text is from its first token on, in windows (Raises RalmError as above)."""
        return self._each(lambda text: likelihood(text, self._scorer.rolling(text, how)), texts)

    @property
    def start(self) -> int:
        """The token that stands before a text's first one. Raises RalmError if tokens are not at hand."""
        return self._scorer.tokens.start

    def tokens(self, text: str) -> tuple[int, ...]:
        """The tokens of a text, without special ones. Raises RalmError if they are not at hand."""
        return self._scorer.tokens.of(text)

    def text_of(self, tokens: Sequence[int]) -> str:
        """The text of some tokens. Raises RalmError if the server does not write it."""
        return self._server.text_of(tokens) if tokens else ""

    def score(self, rows: Sequence[Row]) -> list[tuple[float, ...]]:
        """Of each row the logarithms of the probability of each token of its text, in nats."""
        return self._each(lambda row: self._scorer.row(row).logs, rows)

    def _likelihood(self, one: Continuation) -> Likelihood:
        scored = [
            self._scorer.behind(self._as_text(prompt), one.text, one.shorten)
            for prompt in prompts_of(one.asked)
        ]
        if isinstance(one.asked, Ensemble) and len(scored) > 1:
            return mixed(one.text, scored, one.asked.weights)
        return likelihood(one.text, scored)

    def _completion(self, prompt: Prompt, sampling: Sampling) -> Completion:
        written = self._writable(prompt, sampling)
        found = self._exchange.ask(written.route, written.body(self.name) | sampled(sampling), reply)
        cut = "".join(until_stop([found.text], sampling.stop))
        return Completion(
            cut if sampling.verbatim else cut.strip(),
            self.prompt_tokens(prompt) if found.prompt_tokens is None else found.prompt_tokens,
            self.count_tokens(found.text) if found.tokens is None else found.tokens,
            not found.cut_off or cut != found.text,
        )

    def _single(self, asked: Asked, sampling: Sampling) -> Prompt:
        """What a server can continue. Raises RalmError for what needs the distribution of each next token."""
        if len(prompts_of(asked)) > 1:
            raise RalmError(
                f"The server of {self.name} cannot continue an ensemble of prompts, for it does not give the "
                "whole distribution of the next token: take a reader in this process, or one prompt."
            )
        for asked_for, what in (
            (bool(sampling.without), "leave out beginnings of an answer"),
            (sampling.only_supported, "be held to what passages support"),
            (sampling.logprobs is not None, "be asked here for log-probabilities of an answer's tokens"),
        ):
            if asked_for:
                raise RalmError(
                    f"The server of {self.name} cannot {what}: take a reader in this process, or do without."
                )
        return prompts_of(asked)[0]

    def _writable(self, prompt: Prompt, sampling: Sampling) -> Written:
        """A prompt as the server takes it. Raises RalmError for one known to be beyond the context."""
        # No token is shorter than a byte: most prompts need not be counted.
        size = sum(len(one.content.encode()) + _TURN for one in prompt.conversation) + len(
            prompt.text.encode()
        )
        if self._server.tokenizes and size + _TURN + sampling.max_tokens > self.context_tokens:
            tokens = self.prompt_tokens(prompt)
            if tokens + sampling.max_tokens > self.context_tokens:
                raise RalmError(
                    f"The prompt has {tokens} tokens and the answer may take {sampling.max_tokens}, but "
                    f"{self.name} holds {self.context_tokens}: shorten the prompt or lower max_tokens."
                )
        if prompt.conversation and not prompt.text:
            return Written(prompt.conversation, tools=prompt.tools)
        if prompt.tools or sampling.schema is not None:
            raise RalmError(f"The server of {self.name} takes tools and schemas in conversations alone.")
        return self._as_text(prompt)

    def _as_text(self, prompt: Prompt) -> Written:
        if not prompt.conversation:
            return Written(text=prompt.text, tokens=prompt.tokens)
        written = self._server.written(prompt.conversation)
        if written is None:
            raise RalmError(
                f"The server of {self.name} does not show how its chat template writes a conversation: "
                "answers to one cannot be begun for it, nor scored. Give a plain text."
            )
        return Written(text=written + prompt.text, templated=True)

    def _each(self, work: Callable[[T], U], items: Sequence[T]) -> list[U]:
        """What comes of each, in their order. A failure is raised; what has not begun then is left."""
        if len(items) < 2:
            return [work(one) for one in items]
        with ThreadPoolExecutor(min(len(items), self._most)) as pool:
            # Each in this context, which says who asks.
            tasks = [pool.submit(copy_context().run, work, one) for one in items]
            try:
                return [task.result() for task in tasks]
            except Exception:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            except BaseException:
                # The user has had enough: nobody waits for the answers under way.
                self.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
