"""How often each may ask: the generic cell rate algorithm (ITU-T I.371), one number for each who asks.

Knows no HTTP.
"""

import time
from collections.abc import Callable

# Names that are remembered at most before those who have rested are forgotten.
_REMEMBERED = 10_000


class Rates:
    """Counts requests of each name. A minute's worth may come at once; then one at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # When each would have its whole minute's worth again, in seconds of the clock.
        self._full: dict[str, float] = {}

    def wait(self, name: str, per_minute: int) -> float:
        """Count a request: 0.0 if it may pass, else the seconds until it may, and it is not counted."""
        now, between = self._clock(), 60.0 / per_minute
        full = max(self._full.get(name, now), now) + between
        if (early := full - now - 60.0) > 1e-9:
            return early
        if len(self._full) >= _REMEMBERED:
            self._full = {one: when for one, when in self._full.items() if when > now}
        self._full[name] = full
        return 0.0
