"""A reader as lm-eval's LM. Knows no passages: it reads what it is given.

Imports lm-eval: import it where it is used.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from lm_eval.api.model import LM
from lm_eval.models.utils import normalize_gen_kwargs

from base.errors import RalmError
from lm.prompts import Prompt
from lm.reader import Continuation, Reader, Sampling
from pipelines.execution.progress import BuildProgress, Silent, shown
from pipelines.tasks.context import Context, prompt_of

# Tokens that lm-eval's own models generate where a task says nothing.
MAX_TOKENS = 256
_BATCH = 8
# Texts that are scored between two words of how far it has come.
_SCORED_TOGETHER = 64
_LENGTHS = {"max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens"}
_KNOWN = _LENGTHS | {"until", "do_sample", "temperature", "top_p"}
# What does nothing where the likeliest token is taken.
_OF_SAMPLING = {"top_k", "min_p", "typical_p"}


class ReaderLM(LM):  # type: ignore[misc]
    """A reader behind lm-eval's interface. What each request says is what the reader gets."""

    def __init__(self, reader: Reader, progress: BuildProgress | None = None, seed: int = 0) -> None:
        super().__init__()
        self._reader, self._progress, self._seed = reader, progress or Silent(), seed
        self._conversing = False

    @property
    def tokenizer_name(self) -> str:
        """What lm-eval tells apart chat templates by."""
        return self._reader.name

    def chat_template(self, chat_template: bool | str = False) -> str:
        """No text: the reader writes a conversation by its own template."""
        return ""

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """A conversation, for the reader's own template; without the prompt the reader's turn is begun."""
        self._conversing = True
        return Context.of_turns(chat_history, open_end=not add_generation_prompt)

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """(Log-probability in nats, whether it is the likeliest text) of each (context, continuation)."""
        self._require_whole(requests)
        asked = [_continuation(*request.args) for request in requests]
        found: list[tuple[float, bool]] = [(0.0, False)] * len(asked)
        # Like contexts together: what they share is computed once, and little of a batch is padding.
        order = sorted(range(len(asked)), key=lambda at: (-len(requests[at].args[0]), requests[at].args))
        with shown(self._progress, "score", "texts", len(asked)):
            for some in _parts(order, _SCORED_TOGETHER):
                scored = self._reader.loglikelihood([asked[at] for at in some])
                for at, one in zip(some, scored, strict=True):
                    found[at] = (one.total, one.greedy)
                    self.cache_hook.add_partial("loglikelihood", requests[at].args, found[at])
                self._progress.advance(len(some))
        return found

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        """Log-probability in nats of each whole text."""
        found = []
        with shown(self._progress, "score", "texts", len(requests)):
            for request in requests:
                (one,) = self._reader.loglikelihood_rolling([request.args[0]])
                found.append(one.total)
                self.cache_hook.add_partial("loglikelihood_rolling", request.args, one.total)
                self._progress.advance(1)
        return found

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """The text behind each (context, settings). Raises RalmError for settings that no reader knows."""
        self._require_whole(requests)
        groups: dict[Sampling, list[int]] = {}
        drawn: Counter[str] = Counter()
        for at, request in enumerate(requests):
            sampling = sampling_of(request.args[1], request.task_name)
            if sampling.temperature > 0:
                # A request that comes several times wants another sample each time.
                key = json.dumps(request.args)
                sampling = replace(sampling, seed=self._seed + drawn[key])
                drawn[key] += 1
            groups.setdefault(sampling, []).append(at)
        found = [""] * len(requests)
        with shown(self._progress, "answer", "prompts", len(requests)):
            for sampling, which in groups.items():
                which.sort(key=lambda at: -len(requests[at].args[0]))
                for some in _parts(which, _BATCH):
                    prompts = [prompt_of(requests[at].args[0]) for at in some]
                    for at, one in zip(some, self._reader.generate(prompts, sampling), strict=True):
                        found[at] = one.text
                        self.cache_hook.add_partial("generate_until", requests[at].args, one.text)
                    self._progress.advance(len(some))
        return found

    def _require_whole(self, requests: Sequence[Any]) -> None:
        """Raise RalmError for a task that makes a text of a conversation: no template would be applied."""
        for request in requests if self._conversing else ():
            if request.args[0] and not isinstance(request.args[0], Context):
                raise RalmError(
                    f"The task {request.task_name} writes its prompts itself: ask it without "
                    "--apply-chat-template."
                )


def sampling_of(settings: dict[str, Any], task: str) -> Sampling:
    """How a task's text is to be generated. Raises RalmError for a setting that no reader knows."""
    asked = normalize_gen_kwargs(settings, MAX_TOKENS)
    temperature = float(asked.get("temperature", 0.0)) if asked["do_sample"] else 0.0
    unknown = set(settings) - _KNOWN - (set() if temperature else _OF_SAMPLING)
    if unknown:
        raise RalmError(
            f"The task {task} generates with {', '.join(sorted(unknown))}, which no reader knows: "
            "leave the task out."
        )
    return Sampling(
        max_tokens=int(asked["max_gen_toks"]),
        temperature=temperature,
        top_p=float(asked.get("top_p", 1.0)) if temperature else 1.0,
        stop=tuple(one for one in asked["until"] if one),
        verbatim=True,
    )


def _continuation(context: str, text: str) -> Continuation:
    """White space between both belongs to the text, as with lm-eval's own models."""
    prompt = prompt_of(context)
    bare = prompt.text.rstrip()
    return Continuation(replace(prompt, text=bare), prompt.text[len(bare) :] + text)


def _parts(order: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for at in range(0, len(order), size):
        yield order[at : at + size]


def reserved(request: Any, reader: Reader) -> int:
    """Tokens that must be left in the reader's context for what comes behind a request's prompt."""
    if request.request_type == "generate_until":
        return sampling_of(request.args[1], request.task_name).max_tokens
    return reader.count_tokens(request.args[1])


def asked_prompt(request: Any) -> Prompt:
    """The prompt of a request."""
    return prompt_of(request.args[0])
