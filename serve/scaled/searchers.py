"""The searchers as deployments: each holds a group of the shards of every store, in one replica or several.

Decisions: docs/decisions/scaling-out.md.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any

from base.errors import Unavailable
from datastore.objects.origin import locate
from retriever.cluster.actors import Silence
from retriever.cluster.searcher import Searcher
from serve.scaled.calls import Calls

# Seconds to fetch a reply that came while another one was waited for.
_FETCHED = 0.1


class SearcherReplica:
    """What runs in a replica: one group of shards of each store."""

    def __init__(self, stores: Sequence[str], number: int, count: int) -> None:
        """Load group `number` of `count`: a replica is asked once it is there."""
        self._searchers = {store: Searcher(locate(store).absolute()) for store in stores}
        for one in self._searchers.values():
            one.warm(number, count)

    def ask(self, store: str, method: str, *arguments: Any) -> Any:
        """What the searcher of a store replies."""
        return getattr(self._searchers[store], method)(*arguments)


class DeployedSearchers:
    """Holders of one store's shards: a deployment for each group."""

    def __init__(self, store: str, groups: Sequence[Calls]) -> None:
        self._store, self.handles = store, list(groups)
        self.silence = Silence()

    def ask(
        self, method: str, calls: Mapping[int, Sequence[Any]], patience: float, groups: Sequence[range]
    ) -> tuple[dict[int, Any], list[int]]:
        """As `Holders.ask`. What is to be ready is so in each replica, one group after another."""
        if method == "ready":
            asked = {n: partial(self._ready, n, calls[n], patience) for n in calls}
        else:
            by = monotonic() + patience
            asked = {n: self._begun(n, method, calls[n], by) for n in calls}
        replies, lost = {}, []
        try:
            for number, reply in asked.items():
                try:
                    replies[number] = reply()
                except Unavailable:
                    lost.append(number)
        finally:
            self.silence.note(lost, replies, groups)
        return replies, lost

    def _ready(self, number: int, arguments: Sequence[Any], patience: float) -> Any:
        group = self.handles[number]
        return group.everywhere("ask", self._store, "ready", *arguments, patience=patience)

    def _begun(self, number: int, method: str, arguments: Sequence[Any], by: float) -> Any:
        """All are asked before one is waited for, and until the same moment `by`."""
        group, whole = self.handles[number], ("ask", self._store, method, *arguments)
        begun = group.begin(*whole)
        return lambda: group.ended(begun, *whole, patience=max(_FETCHED, by - monotonic()))

    def close(self) -> None:
        """Leave them: they are the application's."""
