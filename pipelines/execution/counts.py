"""What a stage counts, in words: a row of a summary and of `ralm status`. Knows no stage."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shown:
    """Counts that are shown: the one of a name, or all whose name begins with it, if it ends with a dot.

    `words` name what is counted; `{name}` in them is the rest of a count's name, `{reason}` the same with
    spaces. `if_any`: not where it is 0.
    """

    count: str
    words: str
    if_any: bool = False

    def holds(self, name: str) -> bool:
        """Whether a count of this name is one of them."""
        return name.startswith(self.count) if self.count.endswith(".") else name == self.count

    def rows(self, counts: Mapping[str, int]) -> list[tuple[str, str]]:
        """A row for each of them among some counts."""
        return [
            (self._called(name.removeprefix(self.count)), f"{count:,}")
            for name, count in counts.items()
            if self.holds(name) and (count or not self.if_any)
        ]

    def _called(self, rest: str) -> str:
        return self.words.format(name=rest, reason=rest.replace("_", " "))
