"""What is kept of earlier requests, as far as some bytes reach: the longest unused goes first.

Knows neither vectors nor hits. Safe between threads.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import count
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

    def forget(self, gone: Callable[[K], bool]) -> None:
        """Keep what these keys are of no longer."""
        with self._lock:
            for key in [key for key in self._values if gone(key)]:
                self.bytes -= self._values.pop(key)[1]

    def __len__(self) -> int:
        return len(self._values)


class KeptOf(Generic[K, V]):
    """What is kept of several owners, such as encoders, in one room. Of an owner that is gone, nothing is.

    No owner is held.
    """

    def __init__(self, most_bytes: int, size: Callable[[K, V], int]) -> None:
        self.lookups = Lookups()
        self._kept: Kept[tuple[int, K], V] = Kept(
            most_bytes, lambda key, value: size(key[1], value), self.lookups
        )
        # By a number, which is given once: an address may be another's later.
        self._owners: dict[int, Callable[[], object]] = {}
        self._numbers = count()
        self._lock = Lock()

    def of(self, owner: object) -> "KeptFor[K, V]":
        """What is kept of an owner."""
        with self._lock:
            there = {number: its() for number, its in self._owners.items()}
            gone = {number for number, one in there.items() if one is None}
            number = next((number for number, one in there.items() if one is owner), None)
            if number is None:
                number = next(self._numbers)
                self._owners[number] = ref(owner)
            for one in gone:
                del self._owners[one]
        if gone:
            self._kept.forget(lambda key: key[0] in gone)
        return KeptFor(self._kept, number, owner)

    @property
    def bytes(self) -> int:
        """What is held."""
        return self._kept.bytes


class KeptFor(Generic[K, V]):
    """What is kept of one owner. Whoever has it holds the owner: it is not for keeping."""

    def __init__(self, kept: Kept[tuple[int, K], V], number: int, owner: object) -> None:
        self._kept, self._number, self._owner = kept, number, owner

    def get(self, key: K) -> V | None:
        """A value that is kept; None if there is none."""
        return self._kept.get((self._number, key))

    def put(self, key: K, value: V) -> None:
        """Keep a value; others go for it, whoever owns them."""
        self._kept.put((self._number, key), value)
