"""`POST /search`: what a search takes over HTTP, and what it gives."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from datastore.conditions import Condition
from datastore.view import View
from retriever.ranking.fusion import Fusion
from retriever.refinement import Decontamination, Refinement
from retriever.request import Effort, Method, MethodName, Search
from retriever.results import Ranking
from serve.answering.places import Addresses
from serve.answering.results import Results
from serve.schemas.fields import Body, Unicode
from serve.schemas.hits import HitModel

# More hits than this in one reply are a dump, not an answer.
MAX_K = 1000
MAX_QUERIES = 256
# Vectors read for one query: beyond, it is a scan of the disk.
MAX_DEPTH = 100_000
MAX_CHARACTERS = 100_000
_USUAL = Search()


def _some_text(value: str | list[str]) -> str | list[str]:
    queries = [value] if isinstance(value, str) else value
    if not 1 <= len(queries) <= MAX_QUERIES:
        raise ValueError(f"give 1 to {MAX_QUERIES} queries")
    if any(not one.strip() or len(one) > MAX_CHARACTERS for one in queries):
        raise ValueError(f"a query must hold text, at most {MAX_CHARACTERS} characters")
    return value


# One query, or several.
Queries = Annotated[Unicode | list[Unicode], AfterValidator(_some_text)]


class ViewModel(Body):
    """Which passages count: a sample, domains, and conditions on metadata such as year>=2010."""

    model_config = ConfigDict(extra="forbid")

    fraction: float = Field(_USUAL.view.fraction, gt=0, le=1)
    seed: int = Field(_USUAL.view.seed, ge=0)
    domains: list[Unicode] = Field([], max_length=100)
    where: list[Unicode] = Field([], max_length=20)

    @classmethod
    def of(cls, view: View) -> "ViewModel":
        """A view for others to read: filters may have made more conditions than a request may write."""
        where = [str(one) for one in view.where]
        return cls.model_construct(
            fraction=view.fraction, seed=view.seed, domains=list(view.domains), where=where
        )

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


class SearchFields(Body):
    """How passages are found, however many."""

    model_config = ConfigDict(extra="forbid")

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
    diversity: float = Field(
        _USUAL.refinement.diversity, ge=0, le=1, description="prefer hits unlike those chosen"
    )

    @property
    def refinement(self) -> Refinement:
        """What is to follow the search."""
        rule = self.decontaminate
        drops = None if rule is None else Decontamination.by(rule.method, rule.n, rule.threshold)
        return Refinement(self.near_duplicates, drops, diversity=self.diversity)

    def search_for(self, k: int) -> Search:
        """A search for the k best passages. Raises RalmError for what is none."""
        return Search(
            k,
            self.view.to_view(),
            Effort(self.recall, self.nprobe, self.depth),
            Method(self.method, self.fusion, self.weight),
            self.refinement,
        )


class SearchRequest(SearchFields):
    """`POST /search`: one query or several, the k best passages of each."""

    query: Queries = Field(description=f"a query, or up to {MAX_QUERIES} of them")
    k: int = Field(_USUAL.k, ge=1, le=MAX_K)
    answers: list[list[Unicode]] | None = Field(
        None, description="for each query; looked for by `decontaminate` too"
    )
    n_docs: int | None = Field(
        None, ge=1, le=MAX_K, description="k, as massive-serve calls it: the reply has massive-serve's shape"
    )
    domains: Unicode | None = Field(None, description="with n_docs: one of several stores, by its name")

    @property
    def queries(self) -> list[str]:
        """The queries; one, if it was given alone."""
        return [self.query] if isinstance(self.query, str) else self.query

    def to_search(self) -> Search:
        """What is asked, its queries and their answers aside. Raises RalmError for what is no search."""
        return self.search_for(self.n_docs or self.k)

    @model_validator(mode="after")
    def _one_dialect(self) -> "SearchRequest":
        if self.n_docs is not None and "k" in self.model_fields_set:
            raise ValueError("k and n_docs are one thing: give one of them")
        if self.n_docs is None and self.domains is not None:
            raise ValueError("domains stand in `view`; beside `n_docs` they name a store")
        return self

    @model_validator(mode="after")
    def _answered(self) -> "SearchRequest":
        if self.answers is not None and len(self.answers) != len(self.queries):
            raise ValueError(f"give a list of answers for each of the {len(self.queries)} queries")
        if self.answers is not None and self.decontaminate is None:
            raise ValueError("answers are for `decontaminate`: give both")
        return self


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
    def of(
        cls, query: str, ranking: Ranking, shortfall: str | None, addresses: Addresses | None = None
    ) -> "QueryResult":
        """What a query brought. What a missing shard holds, nobody knows."""
        return cls(
            query=query,
            hits=[HitModel.of(hit, addresses) for hit in ranking.hits],
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
    seconds: dict[str, float] = Field(
        description="by stage: queue, encode, propose, rescore, words, fuse, passages"
    )

    @classmethod
    def of(cls, results: Results, addresses: Addresses) -> "SearchReply":
        """What was found, for others to read, and where they read the passages."""
        each = zip(results.queries, results.found.rankings, results.shortfalls, strict=True)
        return cls(
            manifest=results.manifest,
            results=[QueryResult.of(query.text, ranking, why, addresses) for query, ranking, why in each],
            left_out=list(results.left_out),
            setting=_setting(results),
            seconds=dict(results.found.seconds),
        )


def _setting(results: Results) -> SettingModel | None:
    tried = results.setting
    if tried is None:
        return None
    return SettingModel(nprobe=tried.nprobe, depth=tried.depth, recall=results.recall)
