"""`retrieval`, ours beside OpenAI's fields: what passages are found, and how they reach the reader."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from lm.conditioning import Conditioning
from lm.conditioning.settings import KindName, PromptName
from retriever.request import Search
from serve.schemas.fields import Unicode
from serve.schemas.searching import MAX_CHARACTERS, SearchFields

MAX_PASSAGES = 100
MAX_NEIGHBOURS = 50
# Each is a prompt of its own, read at once.
MAX_REPLUG = 16
_CONDITIONING = Conditioning()


class RetrievalOptions(SearchFields):
    """What passages are found for a question, and what of them the reader is to see."""

    off: bool = Field(False, description="no search, and no word of ours: the reader as it is")
    store: Unicode | None = Field(
        None, description="one of several stores, by its name; default: all of them"
    )
    query: Unicode | None = Field(
        None, max_length=MAX_CHARACTERS, description="what is searched for; default: made of the conversation"
    )
    passages: int = Field(_CONDITIONING.passages, ge=0, le=MAX_PASSAGES, description="0: the LM alone")
    k: int | None = Field(None, ge=0, le=MAX_PASSAGES, description="another name of passages")
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
    markers: bool | None = Field(
        None, description="[1] behind the sentences that a passage supports; default: in chat"
    )
    support: bool = Field(False, description="measure how far each passage supports each sentence")
    only_supported: bool = Field(
        False, description="answer only if the reader is sure enough that the passages tell"
    )

    @field_validator("query")
    @classmethod
    def _holds_text(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise ValueError("a query must hold text: leave it out to have one made of the conversation")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = set(self.model_fields_set)
        if "k" in given and "passages" in given and self.k != self.passages:
            raise ValueError(f"k and passages are one thing: give one of {self.k} and {self.passages}")
        if self.k is not None:
            self.passages = self.k
        if self.conditioning == "replug" and self.passages > MAX_REPLUG:
            raise ValueError(f"replug reads each passage in a prompt of its own: at most {MAX_REPLUG}")
        if self.off and (others := sorted(given - {"off"})):
            raise ValueError(f"off leaves nothing to say about retrieval: leave out {', '.join(others)}")
        if self.only_supported and not (self.passages and self.conditioning != "none"):
            raise ValueError(
                "without passages nothing is supported: leave only_supported out, or have some read"
            )
        return self

    @property
    def reads(self) -> bool:
        """Whether passages are to be read."""
        return not self.off and self.to_conditioning().reads

    def to_conditioning(self) -> Conditioning:
        """Raises RalmError for what is no conditioning."""
        return Conditioning(
            "none" if self.off else self.conditioning,
            self.passages,
            self.budget,
            self.neighbours,
            self.replug_temperature,
            self.prompt,
        )

    def to_search(self) -> Search:
        """How the passages are found. Raises RalmError for what is no search."""
        return self.search_for(max(1, self.passages))
