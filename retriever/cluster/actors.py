"""The searchers of a cluster: how many there are, what is asked of them, and who of them is silent."""

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from base.errors import RalmError
from retriever.cluster.searcher import Searcher

_log = logging.getLogger("retriever.cluster")
# How long all searchers may take to start and to load their shards, at least, in seconds.
_LOADING = 300.0


@dataclass(frozen=True, slots=True)
class Searchers:
    """How many searchers hold a store's shards, each on so many CPUs.

    One that takes longer to answer than `patience`, in seconds, is lost. With `partial`, a search goes on
    without it and names its shards in `Ranking.missing`; else it raises Unavailable. Ray starts a lost one
    again, on another node if need be, and it takes part again once it has loaded its shards.
    """

    count: int
    partial: bool = False
    patience: float = 30.0
    cpus: float = 1.0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise RalmError(f"A cluster needs at least one searcher, not {self.count}.")

    def loading(self) -> "Searchers":
        """The same, with as much patience as it takes to load all shards."""
        return replace(self, patience=max(self.patience, _LOADING))


class Holders(Protocol):
    """The searchers, one for each group of shards, wherever they run."""

    @property
    def handles(self) -> Sequence[Any]:
        """One for each."""
        ...

    @property
    def silence(self) -> "Silence":
        """Who of them is silent."""
        ...

    def ask(
        self, method: str, calls: Mapping[int, Sequence[Any]], patience: float, groups: Sequence[range]
    ) -> tuple[dict[int, Any], list[int]]:
        """Replies of those that `calls` has arguments for, by number, and who has given none in time.

        `groups` are the shards of all, which the log names. Raises what a searcher raises of ours.
        """
        ...

    def close(self) -> None:
        """Stop them, if they are nobody else's."""
        ...


class Actors:
    """The searchers as Ray's actors, and who of them is silent."""

    def __init__(self, root: Path, how: Searchers) -> None:
        """Start them; they load what they are asked about."""
        import ray

        actor = ray.remote(num_cpus=how.cpus, max_restarts=-1)(Searcher)
        self.handles = [actor.remote(root) for _ in range(how.count)]
        self.silence = Silence()

    def ask(
        self, method: str, calls: Mapping[int, Sequence[Any]], patience: float, groups: Sequence[range]
    ) -> tuple[dict[int, Any], list[int]]:
        """Replies of those that `calls` has arguments for, by number, and who has given none in time.

        `groups` are the shards of all, which the log names. Raises what a searcher raises of ours.
        """
        import ray
        from ray.exceptions import RayError, RayTaskError

        asked = {number: getattr(self.handles[number], method).remote(*calls[number]) for number in calls}
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=patience)
        replies, lost = {}, []
        try:
            for number, pending in asked.items():
                try:
                    replies[number] = ray.get(pending, timeout=0)
                except RayTaskError as error:
                    if isinstance(error.cause, RalmError):
                        raise error.cause from None
                    raise
                except (RayError, TimeoutError):
                    lost.append(number)
        finally:
            self.silence.note(lost, replies, groups)
        return replies, lost

    def close(self) -> None:
        """Stop them."""
        import ray

        for handle in self.handles:
            ray.kill(handle)


class Silence:
    """Which searchers gave no answer when they were last asked, in any generation; the log is told once."""

    def __init__(self) -> None:
        self._lost: set[int] = set()
        self._noting = threading.Lock()

    def note(self, lost: Iterable[int], answered: Iterable[int], groups: Sequence[range]) -> None:
        """Remember who did not answer and who did; `groups` are their shards."""
        with self._noting:
            news, back = set(lost) - self._lost, self._lost & set(answered)
            self._lost = self._lost.union(lost).difference(answered)
        said = "gives no answer; if it has died, Ray starts it again", "answers again"
        for numbers, what in zip((news, back), said, strict=True):
            for number in sorted(numbers):
                _log.warning("The searcher of shards %s %s.", ", ".join(map(str, groups[number])), what)

    def among(self, count: int) -> list[int]:
        """Those of the first `count` searchers that gave none."""
        return [number for number in self._lost if number < count]
