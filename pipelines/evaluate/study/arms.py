"""What a study's axes make: arms, each a way to find passages, and the cells of the tables.

Knows settings; opens nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import orjson
import xxhash

from datastore.view import View
from pipelines.evaluate.study.settings import Study
from pipelines.evaluate.tables import Cell


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to find passages: in a view, by a method, then filtered and ranked anew."""

    view: View
    method: str
    filter: str = "none"
    reranker: str = "none"

    def cell(self, k: int) -> Cell:
        """Its cell of retrieval, in which k passages are looked at."""
        view = self.view
        return Cell(
            view.fraction,
            view.seed,
            k,
            self.method,
            domains=", ".join(view.domains),
            where=", ".join(map(str, view.where)),
            filter="" if self.filter == "none" else self.filter,
            reranker="" if self.reranker == "none" else self.reranker,
        )


def arms_of(study: Study) -> tuple[Arm, ...]:
    """Every way to find passages that a study compares."""
    return tuple(
        Arm(view, method, filter, reranker)
        for domains, where in product(study.domains, study.where)
        for view in study.views_of(domains, where)
        for method, filter, reranker in product(study.methods, study.filters, study.rerankers)
    )


@dataclass(frozen=True, slots=True)
class Put:
    """How passages are put to a reader: of an arm the first k, in one kind of prompt; no arm: it alone."""

    arm: Arm | None
    conditioning: str
    k: int

    def cell(self) -> Cell:
        """Its cell without the reader's columns."""
        return self.arm.cell(self.k) if self.arm else Cell(0.0)


def puts_of(study: Study, arms: tuple[Arm, ...]) -> Iterator[Put]:
    """The LM alone, and every way of putting what arms find to it."""
    yield Put(None, "none", 0)
    for arm, conditioning, k in product(arms, dict.fromkeys(study.conditionings), dict.fromkeys(study.k)):
        if conditioning != "none" and k:
            yield Put(arm, conditioning, k)


def view_hash(view: View) -> str:
    """A hash that names a view: equal views have equal ones."""
    parts = [view.fraction, view.seed if view.fraction < 1 else 0, view.domains, [*map(str, view.where)]]
    return xxhash.xxh3_64_hexdigest(orjson.dumps(parts))
