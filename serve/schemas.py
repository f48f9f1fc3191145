"""What requests and replies look like. The chat part follows OpenAI's chat completions API."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from datastore.view import Condition, View
from lm.conditioning import DEFAULT_BUDGET
from serve.answerer import DEFAULT_PASSAGES

# More hits than this in one reply are a dump, not an answer.
MAX_K = 1000
MAX_QUERIES = 256
# Vectors read for one query: beyond, it is a scan of the disk.
MAX_DEPTH = 100_000
MAX_CHARACTERS = 100_000


class ViewModel(BaseModel):
    """Which passages count: a sample, domains, and conditions on metadata such as year>=2010."""

    model_config = ConfigDict(extra="forbid")

    fraction: float = Field(1.0, gt=0, le=1)
    seed: int = Field(0, ge=0)
    domains: list[str] = Field([], max_length=100)
    where: list[str] = Field([], max_length=20)

    def to_view(self) -> View:
        """Raises RalmError for what is no condition."""
        conditions = tuple(Condition.parse(text) for text in self.where)
        return View(self.fraction, self.seed, tuple(self.domains), conditions)


class SearchRequest(BaseModel):
    """`POST /search`: one query or several, the k best passages of each."""

    model_config = ConfigDict(extra="forbid")

    query: str | list[str] = Field(description="a query, or up to 256 of them")
    k: int = Field(5, ge=1, le=MAX_K)
    recall: float | None = Field(
        None, gt=0, le=1, description="take the quickest setting of this recall; without nprobe and depth"
    )
    nprobe: int | None = Field(None, ge=1, description="lists to probe")
    depth: int | None = Field(None, ge=0, le=MAX_DEPTH, description="vectors to re-score; 0: none")
    method: Literal["dense", "bm25", "hybrid"] | None = Field(None, description="default: hybrid, if it can")
    fusion: Literal["rrf", "weighted"] = "weighted"
    weight: float = Field(0.5, ge=0, le=1, description="of the dense scores in a weighted fusion")
    view: ViewModel = Field(default_factory=lambda: ViewModel())
    near_duplicates: float | None = Field(None, gt=0, le=1, description="drop hits so like a better one")
    diversity: float = Field(0.0, ge=0, le=1, description="prefer hits unlike those chosen")

    @field_validator("query")
    @classmethod
    def _some_text(cls, value: str | list[str]) -> str | list[str]:
        queries = [value] if isinstance(value, str) else value
        if not 1 <= len(queries) <= MAX_QUERIES:
            raise ValueError(f"give 1 to {MAX_QUERIES} queries")
        if any(not q.strip() or len(q) > MAX_CHARACTERS for q in queries):
            raise ValueError(f"a query must hold text, at most {MAX_CHARACTERS} characters")
        return value


class HitModel(BaseModel):
    """A retrieved passage. Store (nameless if it is the only one), generation and row name it."""

    store: str
    row: int
    generation: int
    score: float
    domain: str
    doc_id: str
    chunk: int
    start: int
    metadata: dict[str, Any]
    text: str


class QueryResult(BaseModel):
    """The hits of one query, best first.

    `exhausted` says that fewer than k exist, `missing` which shards gave no answer.
    """

    query: str
    hits: list[HitModel]
    exhausted: bool
    missing: list[int]


class SettingModel(BaseModel):
    """How hard the search tried: lists probed (0: the index has none), vectors re-scored."""

    nprobe: int
    depth: int


class SearchReply(BaseModel):
    """The reply of `POST /search`: a result for each query, in order."""

    manifest: str = Field(description="hash of the datastore's manifest")
    results: list[QueryResult]
    setting: SettingModel
    seconds: dict[str, float] = Field(description="by stage: encode, propose, rescore, words, fuse, read")


class TextPart(BaseModel):
    """A part of a message's content; only text is read."""

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class RetrievalOptions(BaseModel):
    """Our addition to the chat API: how many passages to read (0: none), in how many tokens."""

    model_config = ConfigDict(extra="forbid")

    passages: int = Field(DEFAULT_PASSAGES, ge=0, le=100)
    budget: int = Field(DEFAULT_BUDGET, ge=1, le=1_000_000)


class ChatRequest(BaseModel):
    """`POST /v1/chat/completions`. Fields of OpenAI's API that are not named here are ignored."""

    model: str = "ralm"
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool = False
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    stop: str | list[str] | None = None
    seed: int | None = Field(None, ge=0, lt=2**63)
    n: Literal[1] = 1
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
