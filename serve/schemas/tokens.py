"""`POST /tokenize` and `POST /detokenize`, as vLLM's servers have them: the reader's tokens."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lm.prompts import Prompt
from serve.schemas.fields import Body, Token, Unicode
from serve.schemas.generation.messages import ChatMessage

MAX_TOKENS = 1_000_000


class TokenizeRequest(Body):
    """A text, or the messages of a chat as the reader's template writes them up to its turn."""

    model_config = ConfigDict(extra="forbid")

    model: str = "ralm"
    prompt: Unicode | None = None
    messages: list[ChatMessage] | None = Field(None, min_length=1)
    add_special_tokens: bool = Field(True, description="what the tokenizer puts before a text")
    add_generation_prompt: Literal[True] = True
    return_token_strs: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give either prompt or messages")
        return self

    @property
    def as_prompt(self) -> Prompt:
        """What the reader would be asked."""
        if self.messages is None:
            return Prompt(text=self.prompt or "")
        return Prompt.of([one.to_message() for one in self.messages])


class TokenizeReply(BaseModel):
    """The tokens, and what each says if that was asked for: of a half of a character, U+FFFD."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None = None


class DetokenizeRequest(Body):
    """Tokens of the reader's."""

    model_config = ConfigDict(extra="forbid")

    model: str = "ralm"
    tokens: list[Token] = Field(max_length=MAX_TOKENS)


class DetokenizeReply(BaseModel):
    """What they say."""

    prompt: str
