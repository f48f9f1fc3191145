"""`POST /v1/chat/completions`: what OpenAI's clients send, and `retrieval`, which is ours."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lm.conditioning import Conditioning
from lm.conditioning.settings import KindName, PromptName
from serve.schemas.fields import Body, Unicode

MAX_NEIGHBOURS = 50
# Each is a prompt of its own, read at once.
MAX_REPLUG = 16
_CONDITIONING = Conditioning()


class TextPart(BaseModel):
    """A part of a message's content; only text is read."""

    type: Literal["text"]
    text: Unicode


class ChatMessage(BaseModel):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Unicode | list[TextPart]

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class RetrievalOptions(Body):
    """Our addition to the chat API: what of the passages the reader is to see, and how."""

    model_config = ConfigDict(extra="forbid")

    passages: int = Field(_CONDITIONING.passages, ge=0, le=100, description="0: the LM alone")
    budget: int = Field(
        _CONDITIONING.budget, ge=1, le=1_000_000, description="tokens of passages in a prompt"
    )
    conditioning: KindName = _CONDITIONING.kind
    neighbours: int = Field(
        _CONDITIONING.neighbours, ge=0, le=MAX_NEIGHBOURS, description="chunks around a passage, on each side"
    )
    replug_temperature: float = Field(
        _CONDITIONING.replug_temperature, gt=0, description="of the weights that scores make"
    )
    prompt: PromptName = Field(_CONDITIONING.prompt, description="few-shot: for a reader without a template")
    support: bool = Field(False, description="measure how far each passage supports each sentence")

    @model_validator(mode="after")
    def _few_prompts(self) -> "RetrievalOptions":
        if self.conditioning == "replug" and self.passages > MAX_REPLUG:
            raise ValueError(f"replug reads each passage in a prompt of its own: at most {MAX_REPLUG}")
        return self

    def to_conditioning(self) -> Conditioning:
        """Raises RalmError for what is no conditioning."""
        return Conditioning(
            self.conditioning,
            self.passages,
            self.budget,
            self.neighbours,
            self.replug_temperature,
            self.prompt,
        )


class ChatRequest(Body):
    """`POST /v1/chat/completions`. Fields of OpenAI's API that are not named here are ignored."""

    model: str = "ralm"
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool = False
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    stop: Unicode | list[Unicode] | None = None
    seed: int | None = Field(None, ge=0, lt=2**63)
    n: int = Field(1, ge=1, le=1)
    retrieval: RetrievalOptions = RetrievalOptions()

    @field_validator("messages")
    @classmethod
    def _ends_with_question(cls, value: list[ChatMessage]) -> list[ChatMessage]:
        if value[-1].role != "user" or not value[-1].text.strip():
            raise ValueError("the last message must be the user's question and hold text")
        return value

    @field_validator("stop")
    @classmethod
    def _stops(cls, value: str | list[str] | None) -> str | list[str] | None:
        stops = [value] if isinstance(value, str) else value or []
        if len(stops) > 4 or any(not s for s in stops):
            raise ValueError("give at most 4 stop strings, none of them empty")
        return value
