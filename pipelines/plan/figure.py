"""A number that says what it counts and who says so.

Decisions: docs/decisions/planning.md.
"""

import math


class Figure(float):
    """A float with its unit and source; `least` and `most` bound what may be given instead.

    NaN stands for what nobody has measured or given: `known` tells.
    """

    unit: str
    source: str
    least: float
    most: float

    def __new__(
        cls, value: float, unit: str, source: str, least: float = 0.0, most: float = math.inf
    ) -> "Figure":
        made = super().__new__(cls, value)
        made.unit, made.source, made.least, made.most = unit, source, least, most
        return made

    @property
    def known(self) -> bool:
        """Whether there is such a number."""
        return not math.isnan(self)

    def allows(self, value: float) -> bool:
        """Whether another value may be given for it."""
        return self.least <= value <= self.most and math.isfinite(value)

    def given(self, value: float, source: str) -> "Figure":
        """The same with another value."""
        return Figure(value, self.unit, source, self.least, self.most)
