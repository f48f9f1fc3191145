"""What is kept of earlier requests, as far as some bytes reach: the longest unused goes first.

Knows neither vectors nor hits. Safe between threads.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar
from weakref import ref

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass
class Lookups:
    """How often something was looked up that was kept, and that was not."""

    hits: int = 0
    misses: int = 0


class Kept(Generic[K, V]):
    """Values by their keys; `size` says how many bytes a key and its value take."""

    def __init__(self, most_bytes: int, size: Callable[[K, V], int], lookups: Lookups | None = None) -> None:
        """At most `most_bytes` are held; with 0 nothing is. `lookups` counts."""
        self.bytes = 0
        self._most, self._size = most_bytes, size
        self._lookups = Lookups() if lookups is None else lookups
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: K) -> V | None:
        """A value that is kept; None if there is none."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                self._lookups.misses += 1
                return None
            self._lookups.hits += 1
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: K, value: V) -> None:
        """Keep a value; others go for it. One that is larger than all the room is not kept."""
        size = self._size(key, value)
        if size > self._most:
            return
        with self._lock:
            before = self._values.pop(key, None)
            self.bytes += size - (before[1] if before else 0)
            self._values[key] = value, size
            while self.bytes > self._most:
                _, (_, gone) = self._values.popitem(last=False)
                self.bytes -= gone

    def __len__(self) -> int:
        return len(self._values)


class KeptOf(Generic[K, V]):
    """What is kept of one owner, such as an encoder: when another one comes it is forgotten.

    The owner itself is not held.
    """

    def __init__(self, most_bytes: int, size: Callable[[K, V], int]) -> None:
        self.lookups = Lookups()
        self._most, self._size = most_bytes, size
        self._owner: Callable[[], object] = lambda: None
        self._kept = self._empty()
        self._lock = Lock()

    def of(self, owner: object) -> Kept[K, V]:
        """What is kept of an owner. Who still puts something in for the one before, puts it nowhere."""
        with self._lock:
            if self._owner() is not owner:
                self._owner, self._kept = ref(owner), self._empty()
            return self._kept

    @property
    def bytes(self) -> int:
        """What is held."""
        return self._kept.bytes

    def _empty(self) -> Kept[K, V]:
        return Kept(self._most, self._size, self.lookups)
