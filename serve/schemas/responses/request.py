"""`POST /v1/responses`: what OpenAI's clients send. Nothing is stored: each request holds all its turns.

Fields of OpenAI's API that would change an answer and are not carried out take the one value that changes
nothing. Fields that change no answer are taken, and nothing is done about them.
"""

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from base.invalid import written
from lm.prompts import Message
from lm.reader import Sampling
from serve.answering.inquiry import Inquiry
from serve.schemas.fields import Body, Unicode
from serve.schemas.generation.formats import FlatFormat
from serve.schemas.generation.sampling import MAX_LOGPROBS, StreamOptions
from serve.schemas.responses.file_search import FileSearchTool, ToolChoice, to_inquiry
from serve.schemas.responses.items import InputItem, turns_of
from serve.schemas.retrieval import MAX_REPLUG, RetrievalOptions

Include = Literal["file_search_call.results", "message.output_text.logprobs", "reasoning.encrypted_content"]
# What of `retrieval` the tool says, or another field.
_BY_THE_TOOL = {
    "store": "the tool's vector_store_ids",
    "k": "the tool's max_num_results",
    "passages": "the tool's max_num_results",
    "off": "tool_choice: none",
    "only_supported": "POST /v1/chat/completions, whose choices say whether they abstain",
    "support": "POST /v1/chat/completions, whose citations have a place for it",
}
_STATELESS = "nothing is stored here: send all turns of the conversation as `input`"


class TextOptions(Body):
    """What the text of an answer is to be. `verbosity` has one value: the reader knows no other."""

    model_config = ConfigDict(extra="forbid")

    format: FlatFormat | None = None
    verbosity: Literal["medium"] | None = None


class ResponsesRequest(Body):
    """`POST /v1/responses`."""

    model_config = ConfigDict(extra="forbid")

    model: str = "ralm"
    input: Unicode | list[InputItem]
    instructions: Unicode | None = None
    tools: list[FileSearchTool] = Field(default_factory=list, max_length=1)
    tool_choice: ToolChoice = "auto"
    include: list[Include] | None = None
    text: TextOptions | None = None
    max_output_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2, description="default: 0, the likeliest token")
    top_p: float | None = Field(None, gt=0, le=1)
    top_logprobs: int | None = Field(None, ge=0, le=MAX_LOGPROBS)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    retrieval: RetrievalOptions | None = None
    # What changes no answer.
    metadata: dict[str, str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: int | None = Field(None, ge=1)
    service_tier: Literal["auto", "default"] | None = None
    # What would, and is not done.
    background: bool | None = None
    conversation: Any = None
    previous_response_id: str | None = None
    prompt: Any = None
    reasoning: dict[str, Any] | None = None
    store: bool | None = None
    truncation: Literal["disabled"] | None = None

    @field_validator("tools", mode="before")
    @classmethod
    def _one_tool(cls, value: Any) -> Any:
        for one in value if isinstance(value, list) else ():
            kind = one.get("type") if isinstance(one, dict) else None
            if kind is not None and kind != "file_search":
                raise ValueError(
                    f"the one tool of this route is file_search, not {written(kind)}: functions are for "
                    "POST /v1/chat/completions"
                )
        return value

    @field_validator("background", "store")
    @classmethod
    def _not_kept(cls, value: bool | None) -> bool | None:
        if value:
            raise ValueError("nothing is stored here, and an answer is waited for: leave it out")
        return value

    @field_validator("previous_response_id", "conversation")
    @classmethod
    def _all_turns(cls, value: Any) -> Any:
        if value is not None:
            raise ValueError(_STATELESS)
        return value

    @field_validator("prompt")
    @classmethod
    def _no_templates(cls, value: Any) -> Any:
        if value is not None:
            raise ValueError("no templates of prompts are kept here: send `instructions` and `input`")
        return value

    @field_validator("reasoning")
    @classmethod
    def _reasons_not(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if any(one not in (None, "none") for one in (value or {}).values()):
            raise ValueError("the reader does not reason before it answers: leave it out")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        turns_of(self.input)
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options are of streams: leave them out, or add stream: true")
        if self.top_logprobs is not None and not self.tells_logprobs:
            raise ValueError('top_logprobs need include: ["message.output_text.logprobs"]')
        if not self.tools and self.tool_choice not in ("auto", "none"):
            raise ValueError("tool_choice asks for a tool, and tools names none: add file_search to tools")
        self._one_way_to_say_it()
        return self

    def _one_way_to_say_it(self) -> None:
        if self.retrieval is None:
            return
        if not self.tools:
            raise ValueError("retrieval says how the tool file_search is carried out: add the tool")
        for name, instead in _BY_THE_TOOL.items():
            if name in self.retrieval.model_fields_set:
                raise ValueError(f"retrieval.{name}: say it by {instead}")
        ranking = self.tools[0].ranking_options
        twice = sorted({"method", "fusion", "weight"} & self.retrieval.model_fields_set)
        if ranking is not None and ranking.hybrid_search is not None and twice:
            raise ValueError(f"retrieval.{twice[0]}: the tool's hybrid_search says it already, leave one out")
        if self.retrieval.conditioning == "replug" and (self.tools[0].max_num_results or 0) > MAX_REPLUG:
            raise ValueError(f"replug reads each passage in a prompt of its own: at most {MAX_REPLUG}")

    @property
    def tells_results(self) -> bool:
        """Whether what was found is to be told."""
        return "file_search_call.results" in (self.include or ())

    @property
    def tells_logprobs(self) -> bool:
        """Whether each token's log-probability is to be told."""
        return "message.output_text.logprobs" in (self.include or ())

    @property
    def searches(self) -> bool:
        """Whether passages are looked for: wherever the tool may be used, it is."""
        return bool(self.tools) and self.tool_choice != "none"

    def to_sampling(self) -> Sampling:
        """How the answer is to be written."""
        return Sampling(
            max_tokens=self.max_output_tokens or Sampling().max_tokens,
            temperature=self.temperature or 0.0,
            top_p=self.top_p or 1.0,
            schema=self.text.format.schema_text if self.text and self.text.format else None,
            logprobs=(self.top_logprobs or 0) if self.tells_logprobs else None,
        )

    def to_inquiry(self) -> Inquiry:
        """What is asked. Raises RalmError for what cannot be."""
        *history, question = turns_of(self.input)
        if self.instructions is not None:
            history.insert(0, Message("system", self.instructions))
        tool = self.tools[0] if self.searches else None
        return to_inquiry(question.content, history, self.to_sampling(), tool, self.retrieval)
