"""Pairs of documents, later and earlier: those that share a key, and the clusters that pairs join.

Decisions: docs/decisions/duplicates.md.
"""

import numpy as np
from numpy.typing import NDArray

# Of documents that share a key, each is paired with the first and with so many after it: all pairs of a small
# group; of a large one (a page that a site repeats) enough to join it.
_NEIGHBOURS = 16


def sharing(keys: NDArray[np.uint64], documents: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs of documents with an equal key: int64 [pairs, 2], later and earlier, ascending, each once."""
    order = np.lexsort((documents, keys))
    keys, documents = keys[order], documents[order]
    found = [np.empty((0, 2), np.int64)]
    for distance in range(1, min(_NEIGHBOURS, len(keys) - 1) + 1):
        (at,) = np.nonzero(keys[distance:] == keys[:-distance])
        if not len(at):
            break
        found.append(np.column_stack([documents[at + distance], documents[at]]))
    else:
        first = np.searchsorted(keys, keys)
        (at,) = np.nonzero(np.arange(len(keys)) - first > _NEIGHBOURS)
        found.append(np.column_stack([documents[at], documents[first[at]]]))
    return distinct(np.concatenate(found))


def forest(edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Every document of the clusters that edges join, but the first, with that first: [n, 2], ascending."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(edges):
        return np.empty((0, 2), np.int64)
    members, places = np.unique(edges, return_inverse=True)
    places = places.reshape(edges.shape)
    graph = coo_array((np.ones(len(edges), bool), places.T), shape=(len(members), len(members)))
    _, labels = connected_components(graph, directed=False)
    # Members ascend, so the first place of a label is its first document.
    _, firsts = np.unique(labels, return_index=True)
    roots = members[firsts[labels]]
    found: NDArray[np.int64] = np.column_stack([members, roots])[members != roots]
    return found


def distinct(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs in ascending order, each once."""
    ordered = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    fresh = np.ones(len(ordered), bool)
    fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return ordered[fresh]
