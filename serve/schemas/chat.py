"""`POST /v1/chat/completions`: what OpenAI's clients send, and `retrieval`, which is ours."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from lm.reader import Sampling
from serve.answering.inquiry import Inquiry
from serve.schemas.generation.formats import ResponseFormat
from serve.schemas.generation.messages import ChatMessage, ToolModel, question_at
from serve.schemas.generation.sampling import MAX_LOGPROBS, SamplingFields, Unchanging
from serve.schemas.retrieval import RetrievalOptions


class ChatRequest(Unchanging, SamplingFields):
    """`POST /v1/chat/completions`."""

    messages: list[ChatMessage] = Field(min_length=1)
    retrieval: RetrievalOptions = Field(default_factory=lambda: RetrievalOptions())
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    response_format: ResponseFormat | None = None
    tools: list[ToolModel] = Field([], max_length=128)
    tool_choice: Literal["auto", "none"] = "auto"
    logprobs: bool = False
    top_logprobs: int | None = Field(None, ge=0, le=MAX_LOGPROBS)

    @field_validator("messages")
    @classmethod
    def _ask(cls, value: list[ChatMessage]) -> list[ChatMessage]:
        question_at(value)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs are beside logprobs: add logprobs: true, or leave them out")
        if self.retrieval.support and self.n > 1:
            raise ValueError("support is measured of one answer: leave n out, or retrieval.support")
        if self.retrieval.only_supported and self._schema is not None:
            raise ValueError(
                "an abstention is no JSON: leave out response_format, or retrieval.only_supported"
            )
        if self.retrieval.only_supported and self.tools:
            raise ValueError("no passage supports a call: leave out tools, or retrieval.only_supported")
        return self

    @property
    def _schema(self) -> str | None:
        return None if self.response_format is None else self.response_format.schema_text

    def to_sampling(self) -> Sampling:
        """How the answer is to be written."""
        return self.sampled(
            self.max_completion_tokens or self.max_tokens or Sampling().max_tokens,
            schema=self._schema,
            only_supported=self.retrieval.only_supported,
            logprobs=(self.top_logprobs or 0) if self.logprobs else None,
        )

    def to_inquiry(self) -> Inquiry:
        """What is asked. Raises RalmError for what cannot be."""
        at, options = question_at(self.messages), self.retrieval
        turns = [one.to_message() for one in self.messages]
        return Inquiry(
            turns[at].content,
            options.to_conditioning(),
            self.to_sampling(),
            turns[:at],
            options.to_search(),
            options.query,
            following=turns[at + 1 :],
            tools=tuple(self.offered()),
            stores=() if options.store is None else (options.store,),
            bare=options.off,
            markers=options.markers is not False,
        )

    def offered(self) -> list[dict[str, Any]]:
        """The tools that the reader may call, as OpenAI's API describes them."""
        return [one.model_dump() for one in self.tools] if self.tool_choice == "auto" else []
