"""A study's folder to its report: `report.html`, `report.md` and the drawings, from the tables alone.

Decisions: docs/decisions/reports.md.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from base.errors import RalmError
from datastore.files.writing import atomic_write
from pipelines.evaluate.mixtures.tables import MIXTURES
from pipelines.evaluate.report.about import About
from pipelines.evaluate.report.markdown import markdown
from pipelines.evaluate.report.page import page
from pipelines.evaluate.report.section import Section
from pipelines.evaluate.report.sections.compute import compute
from pipelines.evaluate.report.sections.curves import curves
from pipelines.evaluate.report.sections.energy import energy
from pipelines.evaluate.report.sections.keeping import keeping
from pipelines.evaluate.report.sections.knowledge import knowledge
from pipelines.evaluate.report.sections.laws import laws
from pipelines.evaluate.report.sections.mixture import mixture
from pipelines.evaluate.report.sections.protocol import protocol
from pipelines.evaluate.report.sections.spending import spending
from pipelines.evaluate.report.sections.study import Study
from pipelines.evaluate.tables import RESULTS, Tables

PAGE, TEXT, PLOTS = "report.html", "report.md", "plots"
_SECTIONS: tuple[Callable[[Study], Section], ...] = (
    curves,
    knowledge,
    laws,
    spending,
    compute,
    mixture,
    keeping,
    energy,
    protocol,
)


def write_report(folder: Path) -> list[Path]:
    """Write a report of the tables in a folder beside them, in place of an earlier one; gives its files.

    The same tables and the same `study.yaml` give the same bytes. Raises RalmError for a folder without
    tables.
    """
    study = Study(_tables(folder), About.read(folder), folder)
    sections = [section(study) for section in _SECTIONS]
    wanted = _drawings(folder / PLOTS, sections)
    wanted[folder / TEXT] = markdown(study.about.title, sections, PLOTS).encode()
    wanted[folder / PAGE] = page(study.about, sections).encode()
    before = _drawings_before(folder)
    for path, content in wanted.items():
        _write(path, content)
    for path in before - wanted.keys():
        path.unlink(missing_ok=True)
    return list(wanted)


def _tables(folder: Path) -> Tables:
    """A study's tables; of a folder that holds mixtures alone, empty ones."""
    alone = (folder / MIXTURES).exists() and not (folder / RESULTS).exists()
    return Tables("") if alone else Tables.read(folder)


def _drawings_before(folder: Path) -> set[Path]:
    """The drawings of an earlier report, as its Markdown names them: they would pass for this one's.

    Raises RalmError if drawings have no folder to lie in.
    """
    plots, text = folder / PLOTS, folder / TEXT
    if plots.exists() and not plots.is_dir():
        raise RalmError(f"{plots} is a file: move it, plots are to lie in a folder of that name.")
    told = text.read_text(encoding="utf-8", errors="replace") if text.is_file() else ""
    names = re.findall(rf"\]\({PLOTS}/([\w-]+)\.svg\)", told)
    return {plots / f"{name}.{kind}" for name in names for kind in ("svg", "png")}


def _drawings(folder: Path, sections: Sequence[Section]) -> dict[Path, bytes]:
    """The bytes of each drawing by its path."""
    found = {}
    for figure in (one for section in sections for one in section.figures):
        found[folder / f"{figure.name}.svg"] = figure.svg
        found[folder / f"{figure.name}.png"] = figure.png
    return found


def _write(path: Path, content: bytes) -> None:
    atomic_write(path, lambda handle: handle.write(content))
