"""What is asked of a search, its queries aside: one value, made once and handed on whole.

What needs no store is checked as it is made; what a store cannot answer, `refusals.py` says.

Decisions: docs/decisions/searching.md, words-and-fusion.md.
"""

from dataclasses import dataclass, field
from typing import Literal, get_args

from base.errors import RalmError
from base.names import did_you_mean
from datastore.view import View
from retriever.ranking.fusion import Fusion
from retriever.ranking.setting import Setting
from retriever.refinement import Refinement

MethodName = Literal["dense", "bm25", "hybrid"]
_NAMES, _FUSIONS = get_args(MethodName), get_args(Fusion)


@dataclass(frozen=True, slots=True)
class Method:
    """What a passage is found by: embeddings ("dense"), words ("bm25") or both ("hybrid").

    Without a name it is what finds most: both where all stores have a BM25 index, else embeddings
    (benchmarks/methods.py). `fusion` and `weight` (of the dense scores) say how "hybrid" joins the two.
    """

    name: MethodName | None = None
    fusion: Fusion = "weighted"
    weight: float = 0.5

    def __post_init__(self) -> None:
        for what, value, valid in (("method", self.name, _NAMES), ("fusion", self.fusion, _FUSIONS)):
            if value is not None and value not in valid:
                near = did_you_mean(value, valid)
                raise RalmError(f"Unknown {what} {value!r}: valid are {', '.join(valid)}{near}")
        if not 0 <= self.weight <= 1:
            raise RalmError(f"The weight of the dense scores must be between 0 and 1, not {self.weight}.")


DENSE = Method("dense")


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard a search is to try, as somebody asks who does not know the index.

    Either the quickest setting of a `recall`, or lists to probe and vectors to re-score; what is not given is
    that of the recall that the store was built for, or the best there is.
    """

    recall: float | None = None
    nprobe: int | None = None
    depth: int | None = None

    def __post_init__(self) -> None:
        if self.recall is not None and not (self.nprobe is None and self.depth is None):
            raise RalmError("A recall chooses nprobe and depth by itself: give either recall, or those two.")
        if self.recall is not None and not 0 < self.recall <= 1:
            raise RalmError(
                f"recall, a share of what is to be found, must be in (0, 1], not {self.recall:g}."
            )
        if self.depth is not None and self.depth < 0:
            raise RalmError(f"depth, the number of vectors re-scored, must not be negative: {self.depth}.")


# What the parts of a search are, and how each is written.
_PARTS: dict[str, tuple[tuple[type, ...], str]] = {
    "view": ((View,), "View(fraction=0.1)"),
    "effort": ((Effort, Setting), "Effort(recall=0.95)"),
    "method": ((Method,), 'Method("dense")'),
    "refinement": ((Refinement,), "Refinement(near_duplicates=0.8)"),
}


@dataclass(frozen=True, slots=True)
class Search:
    """The `k` best passages of each query among those in the `view`, and what is done to find them.

    `effort` is an Effort, or the Setting of an index that one knows. An Effort's setting is chosen for the
    hits that are ranked: for 100 of each method where "hybrid" joins them, for more where filters drop some;
    `Retriever.settled` chooses it for k. `reach` is how deep the index is searched at first (0: chosen from
    the views): it changes how long a search of many views takes, and nothing else.
    """

    k: int = 5
    view: View = field(default_factory=View)
    effort: Effort | Setting = field(default_factory=Effort)
    method: Method = field(default_factory=Method)
    refinement: Refinement = field(default_factory=Refinement)
    reach: int = 0

    def __post_init__(self) -> None:
        if self.k < 1:
            raise RalmError(f"k must be at least 1, not {self.k}.")
        for name, (kinds, example) in _PARTS.items():
            value = getattr(self, name)
            if not isinstance(value, kinds):
                if name == "method" and value in _NAMES:
                    example = f'Method("{value}")'
                raise RalmError(f"The {name} of a search cannot be {value!r}: write {name}={example}.")
