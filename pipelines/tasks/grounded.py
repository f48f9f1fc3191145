"""An LM of lm-eval that puts passages in front of what another LM is asked.

It rewrites the arguments of requests: what is logged, and what a cache goes by, holds the passages.
Passages are shortened where the reader's context is too short, so that nothing else ever is.

Imports lm-eval: import it where it is used.

Decisions: docs/decisions/measuring.md.
"""

from collections.abc import Sequence
from typing import Any

from lm_eval.api.model import LM

from base.errors import RalmError
from lm.conditioning import Source, pack
from lm.reader import Reader
from pipelines.tasks.context import Context, behind
from pipelines.tasks.model import asked_prompt, reserved
from pipelines.tasks.passages import Passages, Tally
from pipelines.tasks.rolling import Rolling

_UNBOUNDED = 2**31


class GroundedLM(LM):  # type: ignore[misc]
    """Asks another LM, with passages in front; without `passages` nothing but the lengths is looked at.

    Raises RalmError for a prompt that the reader's context does not hold even without passages.
    """

    def __init__(
        self, inner: Any, reader: Reader, passages: Passages | None = None, rolling: Rolling | None = None
    ) -> None:
        """With `rolling` whole texts are scored in its strides, behind `passages` if there are some."""
        super().__init__()
        self._inner, self._reader, self._passages, self._rolling = inner, reader, passages, rolling

    @property
    def tokenizer_name(self) -> str:
        return str(self._inner.tokenizer_name)

    def chat_template(self, chat_template: bool | str = False) -> str:
        return str(self._inner.chat_template(chat_template))

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        found: str = self._inner.apply_chat_template(chat_history, add_generation_prompt)
        return found

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        self._prepare(requests)
        found: list[tuple[float, bool]] = self._inner.loglikelihood(requests)
        return found

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        self._prepare(requests)
        found: list[str] = self._inner.generate_until(requests)
        return found

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        if self._rolling is None:
            found: list[float] = self._inner.loglikelihood_rolling(requests)
            return found
        totals = self._rolling.totals([request.args[0] for request in requests], self._passages is not None)
        for request, one in zip(requests, totals, strict=True):
            if self._passages is not None:
                tally = self._passages.tallies.setdefault(request.task_name, Tally())
                tally.instances += one.strides
                tally.bare += one.bare
        return [one.nats for one in totals]

    def _prepare(self, requests: Sequence[Any]) -> None:
        """Rewrite the arguments of all requests, those of one instance alike."""
        instances: dict[tuple[str, int], dict[int, Any]] = {}
        for request in requests:
            # A request that is repeated is one object, several times.
            instances.setdefault((request.task_name, request.doc_id), {})[id(request)] = request
        together = [list(one.values()) for one in instances.values()]
        self._require_room(together)
        if self._passages is None:
            return
        queries = [self._passages.queries.of(one[0]) for one in together]
        found = self._passages.finder.find([one for one in queries if one is not None])
        for query, one in zip(queries, together, strict=True):
            self._rewrite(one, found[query] if query is not None else ())

    def _require_room(self, together: Sequence[Sequence[Any]]) -> None:
        """Raise RalmError for what the reader cannot hold: examples and question are never cut."""
        holds = self._reader.context_tokens
        for instance in together:
            for request in instance:
                needed = self._needed(request, ())
                if needed > holds:
                    raise RalmError(
                        f"Instance {request.doc_id} of the task {request.task_name} takes {needed} tokens "
                        f"without any passage, but {self._reader.name} holds {holds}: give fewer examples, "
                        "or leave the task out."
                    )

    def _needed(self, request: Any, packed: Sequence[str]) -> int:
        """Tokens of a request's prompt with passages, and of what comes behind it."""
        prompt = behind(asked_prompt(request), packed)
        return self._reader.prompt_tokens(prompt) + reserved(request, self._reader)

    def _rewrite(self, instance: Sequence[Any], sources: Sequence[Source]) -> None:
        """Put passages in front of each request of an instance: the same ones, to compare choices."""
        assert self._passages is not None
        tally = self._passages.tallies.setdefault(instance[0].task_name, Tally())
        tally.instances += 1
        # What stands before an unconditional score is nothing: it stays so.
        asked = [request for request in instance if request.args[0]]
        if not asked or not sources:
            tally.bare += 1
            return
        allowed = pack(sources, self._reader.count_tokens, self._passages.budget)
        packed = self._fitting(asked, sources)
        tally.shortened += allowed != pack(sources, self._reader.count_tokens, _UNBOUNDED)
        tally.squeezed += packed != allowed
        for request in asked:
            context = Context.of(behind(asked_prompt(request), packed))
            request.arguments = (context, *request.args[1:])

    def _fitting(self, asked: Sequence[Any], sources: Sequence[Source]) -> list[str]:
        """As many passages as the budget and the longest request of an instance allow."""
        assert self._passages is not None
        budget, holds = self._passages.budget, self._reader.context_tokens
        while True:
            packed = pack(sources, self._reader.count_tokens, budget)
            over = max(self._needed(request, packed) for request in asked) - holds
            if over <= 0 or not packed:
                return packed
            taken = sum(self._reader.count_tokens(one) for one in packed)
            budget = max(0, min(budget, taken) - over)
