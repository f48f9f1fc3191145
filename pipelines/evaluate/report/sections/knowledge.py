"""What passages change of what a reader knows alone, and what it makes of passages that hold the answer."""

from collections.abc import Sequence

from pipelines.evaluate.analysis.panels import Bools, Panel, is_share
from pipelines.evaluate.analysis.resampling import Floats, Interval, Whole
from pipelines.evaluate.intervals import Score
from pipelines.evaluate.intervals import share as share_of
from pipelines.evaluate.metrics import FATES, Knowledge, split
from pipelines.evaluate.report.section import Section, Table
from pipelines.evaluate.report.sections.study import Study, heading, line_name
from pipelines.evaluate.report.wording import score
from pipelines.evaluate.tables import Cell

_TITLE = "What passages change of what a reader knows"
_INTRO = (
    "With the largest share of the store. Gained: wrong alone and right with passages; kept: right in both; "
    "lost: right alone "
    "only; never: wrong in both. Of all questions, and lost also of those that the reader knows alone."
)


def knowledge(study: Study) -> Section:
    """The section; it says why where no reader answered both alone and with passages."""
    tables, claims = [], []
    for panel in study.answered:
        if panel.kind == "questions" and is_share(panel.unit):
            fates = {line: of for line in panel.lines if (of := _fates(panel, line)) is not None}
            if fates:
                tables.append(_table(panel, fates))
                best = max(fates, key=lambda line: float(panel.means[panel.lines[line][-1]]))
                claims.append(_claim(panel, best, fates[best]))
            tables += [table for table in [_by_held(panel)] if table is not None]
    if not tables:
        why = "No reader answered questions both alone and with passages."
        return Section("knowledge", _TITLE, absent=why)
    return Section("knowledge", _TITLE, _INTRO, claims, tables)


def _fates(panel: Panel, line: Cell) -> Knowledge | None:
    """What becomes of each question with a line's largest share, of its first sample."""
    alone = panel.alone(line)
    if alone is None:
        return None
    right = [panel.measured.values[at][0] >= 1 for at in (alone, panel.lines[line][-1])]
    return split(right[0].tolist(), right[1].tolist(), panel.measured.clusters)


def _table(panel: Panel, fates: dict[Cell, Knowledge]) -> Table:
    rows = []
    for line, of in fates.items():
        shares = of.shares()
        cells = [_score(shares[fate]) for fate in FATES]
        rows.append((line_name(line, list(panel.lines)), *cells, f"{int(of.known.sum()):,}", _lost(of)))
    columns = ("line", *FATES, "known alone", "lost of known")
    return Table(f"{heading(panel)}, % of questions, n = {panel.questions:,}", columns, tuple(rows))


def _lost(of: Knowledge) -> str:
    """How much of what a reader knows alone passages destroy."""
    return _score(of.of(of.known).shares()["lost"]) if of.known.any() else "–"


def _claim(panel: Panel, line: Cell, of: Knowledge) -> str:
    shares = of.shares()
    name = f"{heading(panel)} ({line_name(line, list(panel.lines))})"
    known = (
        f"of {int(of.known.sum()):,} known alone {_lost(of)}% are lost"
        if of.known.any()
        else "none is known alone"
    )
    gained, lost = _score(shares["gained"]), _score(shares["lost"])
    return f"{name}: {gained}% of questions are gained, {lost}% lost; {known}."


def _score(one: Score) -> str:
    return score(Interval(one.value, one.low, one.high), "share")


def _by_held(panel: Panel) -> Table | None:
    """The metric where the passages held the answer, and where they did not."""
    rows = []
    for line, spots in panel.lines.items():
        held, values = panel.held[spots[-1]], panel.measured.values[spots[-1]][0]
        if held is not None:
            parts = [_part(values, panel.measured.clusters, which) for which in (held, ~held)]
            rows.append((line_name(line, list(panel.lines)), *parts[0], *parts[1]))
    if not rows:
        return None
    columns = ("line", "held: questions", "right", "not held: questions", "right")
    return Table(f"{heading(panel)} by whether the passages held the answer, %", columns, tuple(rows))


def _part(values: Floats, clusters: Whole, which: Bools) -> Sequence[str]:
    if not which.any():
        return "0", "–"
    return f"{int(which.sum()):,}", _score(share_of((values[which] >= 1).astype(float), clusters[which]))
