"""How a text is to be continued, as OpenAI's clients say it: what chat and completions have in common.

Fields of OpenAI's API that would change an answer and are not carried out take the one value that changes
nothing. Fields that change no answer are taken, and nothing is done about them.
"""

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from lm.reader import Sampling
from serve.schemas.fields import Body, Unicode

MAX_STOPS = 4
# Texts of one request: as many as a batch on a CPU.
MAX_CHOICES = 16
MAX_LOGPROBS = 20
# A generator of random numbers takes seeds of 64 bits: others are taken modulo this.
_SEEDS = 2**63


class StreamOptions(Body):
    """What a stream says beside the text."""

    model_config = ConfigDict(extra="forbid")

    include_obfuscation: bool = Field(False, description="nothing is added to hide lengths, whatever it says")


class UsageOptions(StreamOptions):
    """The same where a stream tells its usage only if it is asked to."""

    include_usage: bool = False


class SamplingFields(Body):
    """The fields that say how to continue, and how the reply is to come."""

    model_config = ConfigDict(extra="forbid")

    model: str = "ralm"
    stream: bool = False
    stream_options: UsageOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2, description="default: 0, the likeliest token")
    top_p: float | None = Field(None, gt=0, le=1)
    stop: Unicode | list[Unicode] | None = None
    seed: int | None = None
    n: int = Field(1, ge=1, le=MAX_CHOICES)
    frequency_penalty: float = Field(0, ge=0, le=0)
    presence_penalty: float = Field(0, ge=0, le=0)
    logit_bias: dict[str, float] = Field({}, max_length=0)
    user: str | None = None

    @field_validator("stop")
    @classmethod
    def _stops(cls, value: str | list[str] | None) -> str | list[str] | None:
        stops = [value] if isinstance(value, str) else value or []
        if len(stops) > MAX_STOPS or any(not s for s in stops):
            raise ValueError(f"give at most {MAX_STOPS} stop strings, none of them empty")
        return value

    @model_validator(mode="after")
    def _only_of_streams(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options are of streams: leave them out, or add stream: true")
        return self

    @property
    def tells_usage(self) -> bool:
        """Whether a stream is to end with the tokens it took."""
        return self.stream_options is not None and self.stream_options.include_usage

    def sampled(self, max_tokens: int, **more: Any) -> Sampling:
        """How to continue; greedily unless a temperature is given. `more` are other fields of a Sampling."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return Sampling(
            max_tokens=max_tokens,
            temperature=self.temperature or 0.0,
            top_p=self.top_p or 1.0,
            stop=tuple(stops),
            seed=None if self.seed is None else self.seed % _SEEDS,
            **more,
        )


class Unchanging(Body):
    """What OpenAI's chat takes that changes no answer here."""

    metadata: dict[str, Any] = Field(default_factory=dict)
    parallel_tool_calls: bool = True
    prediction: dict[str, Any] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    service_tier: Literal["auto", "default"] = "auto"
    store: Literal[False] = False
    modalities: list[Literal["text"]] = Field(default_factory=list)
