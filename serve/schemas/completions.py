"""`POST /v1/completions`: a text to be gone on with, as OpenAI's older clients and lm-eval ask it."""

from dataclasses import replace
from typing import Self

from pydantic import Field, field_validator, model_validator

from lm.conditioning import Conditioning
from lm.reader import Sampling
from serve.answering.inquiry import Inquiry
from serve.schemas.fields import Token, Unicode
from serve.schemas.generation.sampling import MAX_LOGPROBS, SamplingFields
from serve.schemas.retrieval import RetrievalOptions

MAX_PROMPTS = 256
_ALONE = Conditioning("none", passages=0)


class CompletionRequest(SamplingFields):
    """`POST /v1/completions`. Nothing is searched for unless `retrieval` is given."""

    prompt: Unicode | list[Unicode] | list[Token] | list[list[Token]]
    max_tokens: int = Field(16, ge=0)
    echo: bool = False
    logprobs: int | None = Field(None, ge=0, le=MAX_LOGPROBS)
    best_of: int | None = Field(None, ge=1)
    retrieval: RetrievalOptions | None = None

    @property
    def prompts(self) -> list[str | list[int]]:
        """The prompts, each as a text or as tokens."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if all(isinstance(one, int) for one in self.prompt):
            return [[one for one in self.prompt if isinstance(one, int)]]
        return [one for one in self.prompt if not isinstance(one, int)]

    @field_validator("prompt")
    @classmethod
    def _some(cls, value: str | list[str] | list[int] | list[list[int]]) -> object:
        if value == [] or (isinstance(value, list) and any(one == [] for one in value)):
            raise ValueError("tokens of a prompt must be at least one: an empty prompt is an empty text")
        if isinstance(value, list) and not isinstance(value[0], int) and len(value) > MAX_PROMPTS:
            raise ValueError(f"give at most {MAX_PROMPTS} prompts")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max_tokens == 0 and not self.echo:
            raise ValueError("max_tokens of 0 leaves nothing to give: add echo: true, or let it be more")
        if self.best_of not in (None, self.n):
            raise ValueError("best_of is not carried out: leave it out, or make it n")
        if self.retrieval is not None and not self.retrieval.off:
            self._retrieves(self.retrieval)
        return self

    def _retrieves(self, retrieval: RetrievalOptions) -> None:
        if self.echo:
            raise ValueError("echo repeats a prompt as it was read: leave retrieval out, or echo")
        if any(not isinstance(one, str) for one in self.prompts):
            raise ValueError(
                "passages are put in front of texts: give the prompt as text, or leave retrieval out"
            )
        if retrieval.support or retrieval.only_supported or retrieval.markers or retrieval.prompt != "chat":
            raise ValueError(
                "retrieval.support, only_supported, markers and prompt are of chats: leave them out"
            )

    def to_sampling(self) -> Sampling:
        """How each prompt is continued."""
        return self.sampled(self.max_tokens, verbatim=True, logprobs=self.logprobs)

    def to_inquiries(self) -> list[Inquiry]:
        """What is asked, prompt by prompt. Raises RalmError for what cannot be."""
        options = self.retrieval
        base = Inquiry("", _ALONE, self.to_sampling(), plain=True)
        if options is not None:
            base = replace(
                base,
                how=options.to_conditioning(),
                search=options.to_search(),
                query=options.query,
                stores=() if options.store is None else (options.store,),
            )
        return [
            replace(base, question=one) if isinstance(one, str) else replace(base, tokens=tuple(one))
            for one in self.prompts
        ]
