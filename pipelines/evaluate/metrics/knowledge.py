"""What passages change of what a reader knows: questions gained, kept, lost, and never answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.intervals import Clusters, Score, share

# Wrong alone and right with passages, right in both, right alone only, wrong in both.
Fate = Literal["gained", "kept", "lost", "never"]
FATES: tuple[Fate, ...] = get_args(Fate)


@dataclass(frozen=True)
class Knowledge:
    """What became of each question [n], and to which cluster it belongs."""

    fates: tuple[Fate, ...]
    clusters: Clusters | None = None

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which questions the reader answers rightly alone [n]."""
        return np.isin(self.fates, ("kept", "lost"))

    def of(self, which: NDArray[np.bool_]) -> "Knowledge":
        """The same of some of the questions [n]."""
        fates = tuple(fate for fate, one in zip(self.fates, which.tolist(), strict=True) if one)
        return Knowledge(fates, None if self.clusters is None else self.clusters[which])

    def shares(self) -> Mapping[Fate, Score]:
        """The share of each fate, with its interval: of all questions."""
        each = np.array(self.fates)
        return {fate: share((each == fate).astype(np.float64), self.clusters) for fate in FATES}


def split(
    alone_right: Sequence[bool], with_right: Sequence[bool], clusters: Clusters | None = None
) -> Knowledge:
    """Questions by what the reader answers rightly alone, and with passages."""
    names: dict[tuple[bool, bool], Fate] = {
        (False, True): "gained",
        (True, True): "kept",
        (True, False): "lost",
        (False, False): "never",
    }
    each = zip(alone_right, with_right, strict=True)
    return Knowledge(tuple(names[bool(alone), bool(beside)] for alone, beside in each), clusters)
