"""What one way of answering gains over another on the same questions, and how sure that is.

Questions about one document are not independent: they are drawn together.

Decisions: docs/decisions/measuring.md.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.curve import Score


def clusters_of(documents: Sequence[Collection[str]]) -> NDArray[np.int64]:
    """The number of each question's cluster [n], from 0, by the ids of its documents.

    Questions that share a document, be it by way of a third, are of one cluster. Without documents a
    question is a cluster of its own.
    """
    # Each question points towards the first of its cluster, which points at itself.
    above = list(range(len(documents)))
    holder: dict[str, int] = {}
    for number, ids in enumerate(documents):
        for one in ids:
            above[_first(above, number)] = _first(above, holder.setdefault(one, number))
    firsts = [_first(above, number) for number in range(len(documents))]
    found: NDArray[np.int64] = np.unique(firsts, return_inverse=True)[1].astype(np.int64)
    return found


def _first(above: list[int], number: int) -> int:
    while above[number] != number:
        above[number] = above[above[number]]
        number = above[number]
    return number


def difference(ours: NDArray[np.float64], theirs: NDArray[np.float64], clusters: NDArray[np.int64]) -> Score:
    """The mean of `ours` - `theirs`, values of the same questions [n], with its 95% interval.

    The paired bootstrap: clusters of questions are resampled, each question with both of its values, so that
    what makes a question hard for both falls out.
    """
    return Score.of((ours - theirs)[None], clusters)
