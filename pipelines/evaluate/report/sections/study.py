"""What every section is given: the panels of a study and what its file says."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipelines.evaluate.analysis.panels import Panel, Spot, panels
from pipelines.evaluate.report.about import About
from pipelines.evaluate.report.naming import differing, name
from pipelines.evaluate.tables import Cell, Tables


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

    @property
    def answered(self) -> list[Panel]:
        """Those of readers: of questions and of texts."""
        return [panel for panel in self.panels if panel.kind != "retrieval"]


def heading(panel: Panel) -> str:
    """A panel's name for people."""
    return f"{panel.task}, {panel.metric}"


def spot_names(spots: Sequence[Spot]) -> list[str]:
    """Each spot by what tells it from the others, its share of the store last."""
    cells = [spot.cell for spot in spots]
    axes = [*differing(cells), "fraction"]
    return [name(cell, axes) for cell in cells]


def line_name(line: Cell, lines: Sequence[Cell]) -> str:
    """A line by what tells it from the others of its panel."""
    axes = differing(lines) or (["reader", "k"] if line.reader else ["k"])
    return name(line, axes)


def slug(*parts: str) -> str:
    """A file's name of words: letters, digits and hyphens."""
    kept = "".join(letter if letter.isalnum() else " " for letter in " ".join(parts).lower())
    return "-".join(kept.split())
