"""What requests and replies look like. The chat part follows OpenAI's chat completions API."""

from dataclasses import asdict
from decimal import Decimal
from itertools import product
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from base.invalid import is_unicode
from datastore.schema import Scalar
from datastore.view import Condition, View
from lm.conditioning import Conditioning
from lm.conditioning.settings import KindName, PromptName
from retriever.ranking.fusion import Fusion
from retriever.refinement import Decontamination, Refinement
from retriever.request import Effort, Method, MethodName, Search
from retriever.results import Hit, Ranking
from serve.answerer import Citation

# More hits than this in one reply are a dump, not an answer.
MAX_K = 1000
MAX_QUERIES = 256
# Vectors read for one query: beyond, it is a scan of the disk.
MAX_DEPTH = 100_000
MAX_CHARACTERS = 100_000
MAX_NEIGHBOURS = 50
# Each is a prompt of its own, read at once.
MAX_REPLUG = 16
_USUAL = Search()
_CONDITIONING = Conditioning()


def _unicode(text: str) -> str:
    if not is_unicode(text):
        raise ValueError("half of a character (a lone surrogate) is no text: send UTF-8")
    return text


# What tokenizers and replies can hold: JSON's escapes can write what is no Unicode.
Unicode = Annotated[str, AfterValidator(_unicode)]


class Body(BaseModel):
    """What a client sends: a number is written as one, in a list too."""

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: Any, info: ValidationInfo) -> Any:
        """Keep pydantic from making 1 of true and 5 of "5". Of 5.0 it may: JSON has one kind of number."""
        assert info.field_name is not None  # Of a field's validator it is there.
        annotation = cls.model_fields[info.field_name].annotation
        kinds = {annotation, *get_args(annotation)} & {int, float, bool}
        values = value if isinstance(value, list) else [value]
        for kind, one in product(kinds, values):
            if isinstance(one, str) or (isinstance(one, bool) != (kind is bool) and one is not None):
                raise PydanticCustomError(f"{kind.__name__}_type", "Input should be of another type")
        return value


class ViewModel(Body):
    """Which passages count: a sample, domains, and conditions on metadata such as year>=2010."""

    model_config = ConfigDict(extra="forbid")

    fraction: float = Field(_USUAL.view.fraction, gt=0, le=1)
    seed: int = Field(_USUAL.view.seed, ge=0)
    domains: list[Unicode] = Field([], max_length=100)
    where: list[Unicode] = Field([], max_length=20)

    def to_view(self) -> View:
        """Raises RalmError for what is no condition."""
        conditions = tuple(Condition.parse(text) for text in self.where)
        return View(self.fraction, self.seed, tuple(self.domains), conditions)


class DecontaminationModel(Body):
    """Which hits hold the question, or an answer of n words or more, and are dropped.

    "containment" of its n-grams (8 words), "overlap" of n words in a row (32), "jaccard" of n-grams (13).
    """

    model_config = ConfigDict(extra="forbid")

    method: Literal["containment", "overlap", "jaccard"] = "containment"
    n: int | None = Field(None, ge=1, le=1000, description="words of an n-gram; default: the method's")
    threshold: float = Field(0.8, gt=0, le=1, description="of containment and jaccard")


class SearchRequest(Body):
    """`POST /search`: one query or several, the k best passages of each."""

    model_config = ConfigDict(extra="forbid")

    query: Unicode | list[Unicode] = Field(description=f"a query, or up to {MAX_QUERIES} of them")
    k: int = Field(_USUAL.k, ge=1, le=MAX_K)
    recall: float | None = Field(
        None, gt=0, le=1, description="take the quickest setting of this recall; without nprobe and depth"
    )
    nprobe: int | None = Field(None, ge=1, description="lists to probe")
    depth: int | None = Field(None, ge=0, le=MAX_DEPTH, description="vectors to re-score; 0: none")
    method: MethodName | None = Field(_USUAL.method.name, description="default: hybrid, if it can")
    fusion: Fusion = _USUAL.method.fusion
    weight: float = Field(
        _USUAL.method.weight, ge=0, le=1, description="of the dense scores in a weighted fusion"
    )
    view: ViewModel = Field(default_factory=lambda: ViewModel())
    near_duplicates: float | None = Field(None, gt=0, le=1, description="drop hits so like a better one")
    decontaminate: DecontaminationModel | None = Field(None, description="drop hits that hold the question")
    answers: list[list[Unicode]] | None = Field(
        None, description="for each query; looked for by `decontaminate` too"
    )
    diversity: float = Field(
        _USUAL.refinement.diversity, ge=0, le=1, description="prefer hits unlike those chosen"
    )

    @property
    def queries(self) -> list[str]:
        """The queries; one, if it was given alone."""
        return [self.query] if isinstance(self.query, str) else self.query

    @property
    def refinement(self) -> Refinement:
        """What is to follow the search."""
        rule = self.decontaminate
        drops = None if rule is None else Decontamination.by(rule.method, rule.n, rule.threshold)
        return Refinement(self.near_duplicates, drops, diversity=self.diversity)

    def to_search(self) -> Search:
        """What is asked, its queries and their answers aside. Raises RalmError for what is no search."""
        return Search(
            self.k,
            self.view.to_view(),
            Effort(self.recall, self.nprobe, self.depth),
            Method(self.method, self.fusion, self.weight),
            self.refinement,
        )

    @model_validator(mode="after")
    def _answered(self) -> "SearchRequest":
        if self.answers is not None and len(self.answers) != len(self.queries):
            raise ValueError(f"give a list of answers for each of the {len(self.queries)} queries")
        if self.answers is not None and self.decontaminate is None:
            raise ValueError("answers are for `decontaminate`: give both")
        return self

    @field_validator("query")
    @classmethod
    def _some_text(cls, value: str | list[str]) -> str | list[str]:
        queries = [value] if isinstance(value, str) else value
        if not 1 <= len(queries) <= MAX_QUERIES:
            raise ValueError(f"give 1 to {MAX_QUERIES} queries")
        if any(not q.strip() or len(q) > MAX_CHARACTERS for q in queries):
            raise ValueError(f"a query must hold text, at most {MAX_CHARACTERS} characters")
        return value


def _rounded(score: float) -> float:
    return round(score, 6)


Rounded = Annotated[float, PlainSerializer(_rounded, return_type=float)]


class HitModel(BaseModel):
    """A retrieved passage. Store (nameless if it is the only one), generation and row name it."""

    store: str
    row: int
    generation: int
    score: Rounded
    domain: str
    doc_id: str
    chunk: int
    start: int
    metadata: dict[str, Any]
    text: str

    @classmethod
    def of(cls, hit: Hit) -> "HitModel":
        """A hit for others to read: enough to find the passage again."""
        return cls(**_of_hit(hit))


class SupportModel(BaseModel):
    """How far a passage supports a sentence of an answer.

    `words`: the share of its content words that the passage holds. `gain`: by how many bits a token the
    passage makes it likelier to the reader; null for one that cannot score.
    """

    sentence: str
    words: Rounded
    gain: Rounded | None


class _Numbered(BaseModel):
    """What is said of a citation before its passage: JSON keeps the order."""

    number: int
    cited: bool
    read: str | None
    support: list[SupportModel] | None


class CitationModel(HitModel, _Numbered):
    """A passage that was put before the reader under a number, and whether the answer cites it.

    `read`: what the reader saw of it, if it was cut or widened. `support`: of each sentence, if asked for.
    """

    @classmethod
    def of_citation(cls, citation: Citation) -> "CitationModel":
        """A citation for others to read."""
        support = citation.support
        return cls(
            number=citation.number,
            cited=citation.cited,
            read=citation.read,
            support=None if support is None else [SupportModel(**asdict(one)) for one in support],
            **_of_hit(citation.hit),
        )


def _of_hit(hit: Hit) -> dict[str, Any]:
    passage = hit.passage
    return {
        "store": hit.store,
        "row": hit.row,
        "generation": hit.generation,
        "score": hit.score,
        "domain": passage.domain,
        "doc_id": passage.doc_id,
        "chunk": passage.chunk,
        "start": passage.start,
        "metadata": {name: _shown(value) for name, value in passage.metadata.items()},
        "text": passage.text,
    }


def _shown(value: Scalar) -> Scalar:
    """A value of metadata for others to read: a fraction of more digits than a double's is text to them."""
    return str(value) if isinstance(value, Decimal) else value


class QueryResult(BaseModel):
    """The hits of one query, best first.

    `exhausted` says that what was searched holds fewer than k, `shortfall` why there are so few, `missing`
    which shards gave no answer: what those hold nobody knows, and `exhausted` is false.
    """

    query: str
    hits: list[HitModel]
    exhausted: bool
    shortfall: str | None
    missing: list[int]

    @classmethod
    def of(cls, query: str, ranking: Ranking, shortfall: str | None) -> "QueryResult":
        """What a query brought. What a missing shard holds, nobody knows."""
        return cls(
            query=query,
            hits=[HitModel.of(hit) for hit in ranking.hits],
            exhausted=ranking.exhausted and not ranking.missing,
            shortfall=shortfall,
            missing=list(ranking.missing),
        )


class SettingModel(BaseModel):
    """How hard the search tried: lists probed (0: the index has none), vectors re-scored.

    `recall`: what of an exact search's hits that finds at least, as the index's card measured it; null where
    that tells nothing: in a view, or for a `k` above 100, unless the index is exact.
    """

    nprobe: int
    depth: int
    recall: float | None


class SearchReply(BaseModel):
    """The reply of `POST /search`: a result for each query, in order."""

    manifest: str = Field(description="hash of the datastore's manifest")
    results: list[QueryResult]
    left_out: list[str] = Field(description="stores without a domain or column of the view: none is in it")
    setting: SettingModel | None = Field(description="none for a search by words alone")
    seconds: dict[str, float] = Field(description="by stage: encode, propose, rescore, words, fuse, passages")


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
