"""What every section is given: the panels of a study and what its file says."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipelines.evaluate.analysis.panels import BITS_PER_BYTE, Panel, Spot, is_share, panels
from pipelines.evaluate.report.about import About
from pipelines.evaluate.report.naming import differing, name
from pipelines.evaluate.tables import Cell, Tables

_FIRST = ("success", "containment", "reader containment", "reader accuracy", "bits per answer", BITS_PER_BYTE)


@dataclass(frozen=True)
class Study:
    """A study's tables and what is said of it; `folder` may hold further tables."""

    tables: Tables
    about: About
    folder: Path

    @cached_property
    def panels(self) -> list[Panel]:
        """Each metric of each task."""
        return panels(self.tables)

    @cached_property
    def chief(self) -> list[Panel]:
        """What is asked first of each task: a metric of passages, one of answers, bits of answers or texts.

        A dozen metrics of one task would say the same a dozen times.
        """
        found: dict[tuple[str, str, bool], Panel] = {}
        for panel in sorted(self.panels, key=_place):
            if panel.better:
                found.setdefault((panel.task, panel.kind, is_share(panel.unit)), panel)
        chosen = {(panel.task, panel.metric) for panel in found.values()}
        return [panel for panel in self.panels if (panel.task, panel.metric) in chosen]

    @property
    def answered(self) -> list[Panel]:
        """Those of readers: of questions and of texts."""
        return [panel for panel in self.chief if panel.kind != "retrieval"]


def _place(panel: Panel) -> int:
    """What is asked first has the lowest number."""
    return _FIRST.index(panel.metric) if panel.metric in _FIRST else len(_FIRST)


def heading(panel: Panel) -> str:
    """A panel's name for people."""
    return f"{panel.task}, {panel.metric}"


def spot_names(spots: Sequence[Spot]) -> list[str]:
    """Each spot by what tells it from the others, its share of the store last."""
    # The LM alone has neither a conditioning nor a search, which tells it from others by itself.
    fed = [spot.cell for spot in spots if not spot.alone]
    readers = [
        axis
        for axis in differing([spot.cell for spot in spots])
        if axis in ("reader", "quantization", "adapter")
    ]
    axes = [*dict.fromkeys([*readers, *differing(fed)]), "fraction"]
    return [name(spot.cell, axes) for spot in spots]


def line_name(line: Cell, lines: Sequence[Cell]) -> str:
    """A line by what tells it from the others of its panel."""
    axes = differing(lines) or (["reader", "k"] if line.reader else ["k"])
    return name(line, axes)


def slug(*parts: str) -> str:
    """A file's name of words: letters, digits and hyphens."""
    kept = "".join(letter if letter.isalnum() else " " for letter in " ".join(parts).lower())
    return "-".join(kept.split())
