"""What may be asked of a service beside the question: the fields of its API, by their names there.

The service checks them, and says by a sentence what it does not take.
"""

from collections.abc import Sequence
from typing import Literal, TypedDict


class View(TypedDict, total=False):
    """Which passages count: a sample, domains, and conditions on metadata such as year>=2010."""

    fraction: float
    seed: int
    domains: Sequence[str]
    where: Sequence[str]


class Decontamination(TypedDict, total=False):
    """Which hits hold the question, and are dropped."""

    method: Literal["containment", "overlap", "jaccard"]
    n: int
    threshold: float


class Finding(TypedDict, total=False):
    """How passages are found. What is left out is as the service has it."""

    recall: float
    nprobe: int
    depth: int
    method: Literal["dense", "bm25", "hybrid"]
    fusion: Literal["weighted", "rrf"]
    weight: float
    view: View
    near_duplicates: float
    decontaminate: Decontamination
    diversity: float


class SearchOptions(Finding, total=False):
    """Of a search: `answers` [n] hold those of each query, which decontamination looks for, too."""

    answers: Sequence[Sequence[str]]


class Retrieval(Finding, total=False):
    """What passages are found for a question, and what of them the reader sees."""

    off: bool
    store: str
    query: str
    passages: int
    budget: int
    conditioning: Literal["prepend", "replug", "none"]
    neighbours: int
    replug_temperature: float
    prompt: Literal["chat", "few-shot"]
    support: bool
    only_supported: bool


class AskOptions(TypedDict, total=False):
    """Of a question: how the answer is written, and what it is written from."""

    model: str
    max_tokens: int
    temperature: float
    top_p: float
    stop: str | Sequence[str]
    seed: int
    retrieval: Retrieval


class Turn(TypedDict):
    """A turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str
