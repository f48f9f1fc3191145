"""What a larger datastore buys: each metric against its size, the LM alone as a flat line."""

from collections.abc import Sequence

import numpy as np

from pipelines.evaluate.analysis.panels import Panel, is_share
from pipelines.evaluate.analysis.resampling import Interval
from pipelines.evaluate.metrics import METRICS
from pipelines.evaluate.report.charts import Axes, Line, lines_chart
from pipelines.evaluate.report.naming import facets, names
from pipelines.evaluate.report.section import Figure, Section, Table
from pipelines.evaluate.report.sections.study import Study, heading, line_name, slug
from pipelines.evaluate.report.wording import change, score, tokens
from pipelines.evaluate.tables import Cell

_COLUMNS = (
    "line",
    "LM alone",
    "smallest share",
    "largest",
    "largest against smallest",
    "against the LM alone",
)
# Of fewer questions an interval means little.
_FEW = 30


def curves(study: Study) -> Section:
    """The section; with no line of at least two sizes it says so."""
    found = [panel for panel in study.panels if panel.lines]
    if not found:
        return Section("curves", "What a larger datastore buys", absent="No share of a store was searched.")
    return Section(
        "curves",
        "What a larger datastore buys",
        "Each metric against the tokens of the datastore, with 95% intervals over questions and samples.",
        claims=[claim for panel in study.chief if panel.lines for claim in _claim(panel)],
        tables=[_table(panel) for panel in found],
        figures=[figure for panel in found if panel.better for figure in _figures(panel)],
        notes=_notes(found),
    )


def line_of(panel: Panel, spots: Sequence[int], label: str, level: float | None) -> Line:
    """A line of a chart through these spots."""
    scores = [panel.score(at) for at in spots]
    of = {name: np.array([getattr(one, name) for one in scores]) for name in ("value", "low", "high")}
    return Line(label, panel.sizes(spots), of["value"], of["low"], of["high"], level)


def axes_of(panel: Panel, title: str, x: str = "tokens in the datastore", unit: str = "") -> Axes:
    """What stands beside a chart of a panel; sizes along x are of a `unit`."""
    return Axes(title, x, unit_of(panel), is_share(panel.unit), unit)


def unit_of(panel: Panel) -> str:
    """What figures of a panel count, as it stands beside them."""
    if panel.unit != "share":
        return panel.unit or panel.metric
    known = METRICS.get(panel.metric)
    return known.unit if known is not None else "%"


def _figures(panel: Panel) -> list[Figure]:
    found = []
    for shared, lines in facets(list(panel.lines)):
        drawn = [_line(panel, line, label) for line, label in zip(lines, names(lines), strict=True)]
        title = ", ".join(part for part in (heading(panel), shared) if part)
        svg, png = lines_chart(drawn, axes_of(panel, title))
        first = drawn[0]
        alt = (
            f"{title}: {len(drawn)} line(s) from {tokens(first.x[0])} to {tokens(first.x[-1])}; "
            f"{first.label} goes from {score(_ends(panel, lines[0])[0], panel.unit)} "
            f"to {score(_ends(panel, lines[0])[1], panel.unit)}."
        )
        found.append(Figure(slug("curve", title), title, alt, svg, png))
    return found


def _line(panel: Panel, line: Cell, label: str) -> Line:
    alone = panel.alone(line)
    return line_of(panel, panel.lines[line], label, None if alone is None else float(panel.means[alone]))


def _ends(panel: Panel, line: Cell) -> tuple[Interval, Interval]:
    spots = panel.lines[line]
    return panel.score(spots[0]), panel.score(spots[-1])


def _table(panel: Panel) -> Table:
    rows = []
    for line, spots in panel.lines.items():
        alone = panel.alone(line)
        smallest, largest = _ends(panel, line)
        rows.append(
            (
                line_name(line, list(panel.lines)),
                "–" if alone is None else score(panel.score(alone), panel.unit),
                score(smallest, panel.unit) if len(spots) > 1 else "–",
                score(largest, panel.unit),
                change(panel.gain(spots[-1], spots[0]), panel.unit, False) if len(spots) > 1 else "–",
                "–" if alone is None else change(panel.gain(spots[-1], alone), panel.unit, False),
            )
        )
    unit = f", {unit_of(panel)}" if unit_of(panel) != panel.metric else ""
    lower = "; better the lower" if panel.better == "lower" else ""
    return Table(f"{heading(panel)}{unit}, n = {panel.questions:,}{lower}", _COLUMNS, tuple(rows))


def _claim(panel: Panel) -> list[str]:
    """What the whole brings over the smallest share and over the LM alone, for the line that ends best."""
    sign = 1 if panel.higher else -1
    line, spots = max(panel.lines.items(), key=lambda one: sign * panel.means[one[1][-1]])
    name = f"{heading(panel)} ({line_name(line, list(panel.lines))})"
    alone, said = panel.alone(line), []
    if len(spots) > 1:
        sizes = panel.sizes([spots[0], spots[-1]])
        said.append(
            f"from {tokens(sizes[0])} to {tokens(sizes[1])} "
            f"{change(panel.gain(spots[-1], spots[0]), panel.unit)}"
        )
    if alone is not None:
        said.append(f"against the LM alone {change(panel.gain(spots[-1], alone), panel.unit)}")
    return [f"{name}: {'; '.join(said)}."] if said else []


def _notes(found: Sequence[Panel]) -> list[str]:
    few = [heading(panel) for panel in found if panel.questions < _FEW]
    if not few:
        return []
    return [f"Fewer than {_FEW} questions, whose intervals look surer than they are: {'; '.join(few)}."]
