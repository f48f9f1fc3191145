"""The reader in this process: a prompt to text by a transformers model, in one of several precisions.

Knows models and tokens; knows no passages.

Decisions: docs/decisions/reader-and-citations.md.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from threading import Lock, Thread
from typing import Any

import torch
from jinja2 import TemplateError

from base.errors import RalmError
from lm.backends import scoring
from lm.backends.choosing import Choice
from lm.backends.loading import load, quiet_imports
from lm.backends.memory import measured_bytes
from lm.backends.quantizations import DEFAULT_QUANTIZATION
from lm.backends.reader_choice import ReaderChoice
from lm.backends.stopping import End, Watch
from lm.backends.threads import paced
from lm.backends.weights import Weights
from lm.prompts import Asked, Prompt, prompts_of
from lm.reader import Completion, Continuation, Likelihood, Sampling, TextStream
from lm.stop_strings import until_stop


class TransformersReader:
    """A causal language model of transformers, held in this process. One batch at a time.

    An adapter is attached to prompts that hold passages alone: without them the reader is the plain one, to
    the last bit.
    """

    def __init__(self, choice: ReaderChoice = ReaderChoice()) -> None:
        choice.require()
        quiet_imports()
        weights = Weights.find(choice.name)
        self.name = weights.name
        self.adapter = choice.adapter
        self.quantization = choice.quantization or DEFAULT_QUANTIZATION
        self._tokenizer, self._model = load(weights, self.quantization, choice.adapter)
        self._adapted = choice.adapter is not None
        self._tokenizer.padding_side = "left"
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self.measured_bytes = measured_bytes(self._model)
        # Models without a fixed length of context do not say one.
        self.context_tokens = int(getattr(self._model.config, "max_position_embeddings", None) or 2**31)
        end = self._model.generation_config.eos_token_id
        self._ends = set(end) if isinstance(end, list) else {end}
        # Generation is one user's at a time: two at once would share the same cores.
        self._busy = Lock()
        self._end = End()

    def stop(self) -> None:
        """Let what is being generated end after its next token, and whoever asks for more be refused.

        Those get a ReaderStopped. For a process that is to end: in a thread that computes it would crash.
        """
        self._end.come()

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, without special ones."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def prompt_tokens(self, prompt: Prompt) -> int:
        """Tokens of a prompt as the model sees it: template and special ones included."""
        return len(self._ids(prompt))

    def _ids(self, prompt: Prompt) -> list[int]:
        text = self.written(prompt)
        # A chat template has written the special tokens: the tokenizer must not add its own.
        before = [] if prompt.conversation else scoring.opening(self._tokenizer, text)
        found: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return before + found

    def written(self, prompt: Prompt) -> str:
        """A prompt as text; a conversation as this model's own chat template writes it, up to its turn."""
        if not prompt.conversation:
            return prompt.text
        turns = [{"role": turn.role, "content": turn.content} for turn in prompt.conversation]
        try:
            found: str = self._tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=True
            )
        except (ValueError, TemplateError) as error:
            raise RalmError(
                f"The chat template of {self.name} does not take this conversation ({error}): choose an "
                "instruction-tuned reader, or other roles."
            ) from None
        return found + prompt.text

    def generate(self, asked: Sequence[Asked], sampling: Sampling) -> list[Completion]:
        """Continue several prompts, those of one kind as one batch."""
        found: dict[int, Completion] = {}
        for adapted in (False, True):
            which = [at for at, one in enumerate(asked) if self._wants_adapter(one) == adapted]
            if which:
                found |= zip(which, self._batch([asked[at] for at in which], sampling, adapted), strict=True)
        return [found[at] for at in range(len(asked))]

    def _wants_adapter(self, asked: Asked) -> bool:
        return self._adapted and any(prompt.passages for prompt in prompts_of(asked))

    def _batch(self, asked: Sequence[Asked], sampling: Sampling, adapted: bool) -> list[Completion]:
        inputs = self._inputs(asked, sampling)
        width = inputs["input_ids"].shape[1]
        with self._busy:
            out = self._generate(asked, inputs, sampling, adapted)
        self._end.check()
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        firsts, at = [], 0
        for one in asked:
            firsts.append(at)
            at += len(prompts_of(one))
        return [
            self._completion(out[first][width:].tolist(), int(lengths[first]), sampling) for first in firsts
        ]

    def stream(self, asked: Asked, sampling: Sampling) -> TextStream:
        """Continue one prompt, in pieces as they come. A prompt that is too long fails here."""
        inputs = self._inputs([asked], sampling)
        streamer = _first_row(self._tokenizer)
        watch = Watch(inputs["input_ids"].shape[1] + sampling.max_tokens, self._ends)
        adapted = self._wants_adapter(asked)
        failures: list[BaseException] = []

        def work() -> None:
            # The model is taken and given back by this thread, which always ends: a generator may
            # be left standing between two pieces for ever, by a client that went away.
            try:
                with self._busy:
                    self._generate([asked], inputs, sampling, adapted, watch, streamer=streamer)
            except BaseException as error:  # noqa: BLE001  (raised again by whoever reads)
                failures.append(error)
                streamer.end()

        def pieces() -> Iterator[str]:
            thread = Thread(target=work, daemon=True)
            thread.start()
            try:
                yield from until_stop(streamer, sampling.stop)
            finally:
                watch.trip()
            thread.join()
            self._end.check()
            stream.finished = not watch.cut_off
            if failures:
                raise failures[0]

        stream = TextStream(pieces(), watch.trip)
        return stream

    def loglikelihood(self, continuations: Sequence[Continuation]) -> list[Likelihood]:
        """How likely each text is behind what is asked, from one tokenization of both."""
        return [self._likelihood(one) for one in continuations]

    def _likelihood(self, one: Continuation) -> Likelihood:
        rows = [
            scoring.parted(self._tokenizer, self.written(prompt), one.text, not prompt.conversation)
            for prompt in prompts_of(one.asked)
        ]
        with self._busy, self._attached(self._wants_adapter(one.asked)):
            scored = [scoring.score(self._model, *row) for row in rows]
        return scoring.likelihood(one, scored)

    def loglikelihood_rolling(self, texts: Sequence[str]) -> list[Likelihood]:
        """How likely each text is from its first token on, in disjoint windows of the context."""
        found = []
        for text in texts:
            windows = scoring.windows(self._tokenizer, text, self.context_tokens)
            with self._busy, self._attached(False):
                scored = [scoring.score(self._model, *window) for window in windows]
            found.append(scoring.rolled(text, scored))
        return found

    def _attached(self, adapted: bool) -> Any:
        """With the adapter, or as the plain model."""
        return self._model.disable_adapter() if self._adapted and not adapted else nullcontext()

    def _inputs(self, asked: Sequence[Asked], sampling: Sampling) -> Any:
        ids = [self._ids(prompt) for one in asked for prompt in prompts_of(one)]
        inputs = self._tokenizer.pad({"input_ids": ids}, return_tensors="pt")
        longest = inputs["input_ids"].shape[1]
        if longest + sampling.max_tokens > self.context_tokens:
            raise RalmError(
                f"The prompt has {longest} tokens and the answer may take {sampling.max_tokens}, but "
                f"{self.name} holds {self.context_tokens}: shorten the prompt or lower max_tokens."
            )
        return inputs.to(self._model.device)

    def _generate(
        self,
        asked: Sequence[Asked],
        inputs: Any,
        sampling: Sampling,
        adapted: bool,
        watch: Watch | None = None,
        **extra: Any,
    ) -> torch.Tensor:
        self._end.check()
        if sampling.stop:
            extra |= {"stop_strings": list(sampling.stop), "tokenizer": self._tokenizer}
        choice = Choice.of(asked, sampling, self._tokenizer, inputs["input_ids"].shape[1])
        # Not inference_mode(): batched generation of transformers 5.17 gives empty answers in it.
        with torch.no_grad(), paced(self.measured_bytes) as pace, self._attached(adapted):
            found: torch.Tensor = self._model.generate(
                **inputs,
                max_new_tokens=sampling.max_tokens,
                do_sample=False,
                pad_token_id=self._tokenizer.pad_token_id,
                stopping_criteria=[*(one for one in (watch, self._end) if one), *pace],
                logits_processor=[choice] if choice else [],
                **extra,
            )
        return found

    def _completion(self, ids: list[int], prompt_tokens: int, sampling: Sampling) -> Completion:
        length = next((i for i, token in enumerate(ids) if token in self._ends), len(ids))
        text = self._tokenizer.decode(ids[:length], skip_special_tokens=True)
        cut = "".join(until_stop([text], sampling.stop))
        finished = length < sampling.max_tokens or cut != text
        return Completion(cut if sampling.verbatim else cut.strip(), prompt_tokens, length, finished)


def _first_row(tokenizer: Any) -> Any:
    """A streamer of the first row alone: all rows of an ensemble are continued by the same tokens."""
    from transformers import TextIteratorStreamer

    class FirstRow(TextIteratorStreamer):  # type: ignore[misc]
        def put(self, value: torch.Tensor) -> None:
            super().put(value[:1])

    return FirstRow(tokenizer, skip_prompt=True, skip_special_tokens=True)
