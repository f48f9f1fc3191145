"""Which replica of a server is asked next: the least busy one. One that failed is left for a while.

Decisions: docs/decisions/remote-readers.md.
"""

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock

from lm.backends.remote.failures import Broken

# Seconds that a replica is left after its first failure, twice as long after each further one.
FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0


@dataclass(frozen=True, slots=True)
class Timing:
    """What passes for time and chance: seconds, and numbers from 0 to 1. `wait` None waits in earnest."""

    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    wait: Callable[[float], object] | None = None


@dataclass(slots=True)
class Replica:
    """One server. `came` is what came instead of an answer when it was last asked."""

    url: str
    busy: int = 0
    last: int = 0
    came: str = ""
    failures: int = 0
    failed_at: float = -math.inf
    left_until: float = -math.inf


@dataclass
class Replicas:
    """All replicas of one server, for all threads that ask them."""

    urls: Sequence[str]
    timing: Timing
    all: list[Replica] = field(init=False)
    _changing: Lock = field(default_factory=Lock, init=False)

    def __post_init__(self) -> None:
        self.all = [Replica(url) for url in self.urls]

    def delay(self) -> float:
        """Seconds until one may be asked again; 0 if one may be now."""
        with self._changing:
            return max(0.0, min(one.left_until for one in self.all) - self.timing.clock())

    def take(self) -> Replica:
        """The least busy of those that may be asked. Whoever takes it gives it back."""
        with self._changing:
            now = self.timing.clock()
            free = [one for one in self.all if one.left_until <= now] or self.all
            found = min(free, key=lambda one: (one.busy, one.last))
            found.busy += 1
            found.last = 1 + max(one.last for one in self.all)
            return found

    def hold(self, replica: Replica) -> None:
        """It is busy with one more request, until that is given back."""
        with self._changing:
            replica.busy += 1

    def give_back(self, replica: Replica) -> None:
        with self._changing:
            replica.busy -= 1

    def worked(self, replica: Replica) -> None:
        with self._changing:
            replica.failures, replica.left_until, replica.came = 0, -math.inf, ""

    def failed(self, replica: Replica, broken: Broken, asked_at: float) -> None:
        """Leave a replica for a while. Requests that were under way together fail as one."""
        with self._changing:
            replica.came = broken.came
            now = self.timing.clock()
            if asked_at >= replica.failed_at:
                replica.failures += 1
                replica.failed_at = now
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(replica.failures - 1, 10))
            # Between half of it and all: many clients do not come back at one instant.
            wait *= 0.5 + 0.5 * self.timing.chance()
            replica.left_until = max(replica.left_until, now + max(wait, broken.after))
