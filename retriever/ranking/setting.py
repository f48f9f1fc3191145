"""How hard a search of one index tries."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """Lists probed (0: all there is), and vectors re-scored exactly (0: none)."""

    nprobe: int
    depth: int

    def of_each(self, stores: int) -> "tuple[Setting, ...]":
        """The setting by which each of so many stores is searched."""
        return (self,) * stores


@dataclass(frozen=True, slots=True)
class SeveralSettings(Setting):
    """A setting for each of several stores; `nprobe` and `depth` are the largest of them."""

    each: tuple[Setting, ...] = ()

    def of_each(self, stores: int) -> tuple[Setting, ...]:
        return self.each
