"""The chunks around a hit in its document: what a reader may be shown beside it.

The rows of a document follow each other in its store, whatever shards they lie in.

Decisions: docs/decisions/reader-and-citations.md.
"""

from collections.abc import Mapping

from datastore.schema import Passage
from datastore.store import Datastore
from datastore.view import View
from retriever.results import Hit


def chunks_around(store: Datastore, hit: Hit, reach: int, view: View) -> tuple[Passage, ...]:
    """A hit of a store with up to `reach` chunks before and behind it, in the document's order.

    Where one is not in the view, is taken down or was never kept, those beyond it are left out, too: what is
    given is one stretch of the document.
    """
    rows = range(max(0, hit.row - reach), min(store.rows, hit.row + reach + 1))
    kept = store.keep([view], rows)[0].tolist()
    there = [store.passage(row) for row, one in zip(rows, kept, strict=True) if one and row != hit.row]
    mine = {one.chunk: one for one in there if _is_of(one, hit.passage)} | {hit.passage.chunk: hit.passage}
    first = _end(mine, hit.passage.chunk, -1)
    return tuple(mine[number] for number in range(first, _end(mine, hit.passage.chunk, 1) + 1))


def _is_of(one: Passage, other: Passage) -> bool:
    return (one.domain, one.doc_id) == (other.domain, other.doc_id)


def _end(chunks: Mapping[int, Passage], number: int, step: int) -> int:
    """The last number that is reached from this one without a gap."""
    while number + step in chunks:
        number += step
    return number
