"""Law fits: the metric as a power law of the datastore's tokens, and of the reader's size beside them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipelines.evaluate.analysis.fitting import LEAST
from pipelines.evaluate.analysis.laws import FEWEST, FEWEST_JOINT, Law, hold_out
from pipelines.evaluate.analysis.panels import Panel
from pipelines.evaluate.analysis.resampling import Floats, Interval
from pipelines.evaluate.analysis.saturation import Saturation, saturation
from pipelines.evaluate.report.charts import Line, lines_chart
from pipelines.evaluate.report.section import Figure, Section, Table
from pipelines.evaluate.report.sections.curves import axes_of, line_of
from pipelines.evaluate.report.sections.study import Study, heading, line_name, slug
from pipelines.evaluate.report.wording import change, number, plain, score, signed, tokens
from pipelines.evaluate.tables import Cell

_TITLE = "Laws of growth"
_INTRO = (
    "metric = c + a D^-b, D in tokens of the datastore, least squares weighted by standard errors; "
    "intervals are those "
    "of fits to resamples. The largest point is held out and predicted from the others: error is predicted "
    "less measured."
)
_COLUMNS = (
    "line",
    "b",
    "limit c",
    "a",
    "R²",
    "largest: predicted",
    "measured",
    "error",
    "last decade of tokens",
    "verdict",
)
_JOINT = ("readers' size in", "alpha", "beta", "limit e", "R²", "largest: predicted", "measured", "error")
_VERDICTS = {
    "saturated": "has saturated",
    "falling": "gets worse",
    "slowing": "still gains, less than before",
    "improving": "still gains, no less than before",
    "undecided": "may or may not still gain",
}
# Any exponent fits two sizes of readers, or of datastores.
_FEWEST_SIZES = 3
# Decades beyond the largest point that a law is drawn.
_BEYOND = 1.0


def laws(study: Study) -> Section:
    """The section; it says why where no line has points enough."""
    tables, figures, claims = [], [], []
    for panel in study.chief:
        fitted = [(line, spots) for line, spots in panel.lines.items() if _enough(panel, spots)]
        if fitted:
            rows, said = zip(
                *[_row(panel, line_name(line, list(panel.lines)), spots) for line, spots in fitted],
                strict=True,
            )
            tables.append(Table(f"{heading(panel)}, n = {panel.questions:,}", _COLUMNS, tuple(rows)))
            best = _best(panel, [spots for _, spots in fitted])
            claims += said[best]
            figures.append(_figure(panel, fitted[best][1]))
        joint = _joint(panel)
        if joint:
            tables.append(joint)
    if not tables:
        why = f"No line has {FEWEST} sizes of the datastore: a law's three numbers fit any three points."
        if study.chief and not any(len(panel.draws) for panel in study.chief):
            why = "No two questions are independent: nothing says how far a law may be trusted."
        return Section("laws", _TITLE, absent=why)
    return Section("laws", _TITLE, _INTRO, claims, tables, figures)


def _enough(panel: Panel, spots: Sequence[int]) -> bool:
    # Without resamples nothing says how far a law may be trusted.
    return len(set(panel.sizes(spots))) >= FEWEST and panel.sizes(spots)[0] > 0 and len(panel.draws) > 0


def _best(panel: Panel, lines: Sequence[Sequence[int]]) -> int:
    sign = 1 if panel.higher else -1
    return int(np.argmax([sign * panel.means[spots[-1]] for spots in lines]))


def _row(panel: Panel, label: str, spots: Sequence[int]) -> tuple[tuple[str, ...], list[str]]:
    sizes, means, draws = panel.sizes(spots), panel.means[list(spots)], panel.draws[:, list(spots)]
    law, held = Law.of(sizes, means, draws), hold_out(sizes, means, draws)
    slowed = saturation(sizes, means, draws, panel.higher)
    row = (
        label,
        _exponent(law, 0),
        score(law.offset, panel.unit) if law.bounded else "none seen",
        f"{law.factors[0]:.3g}",
        f"{law.explained:.3f}",
        score(held.predicted, panel.unit),
        number(held.measured, panel.unit),
        change(held.error, panel.unit),
        *(
            ("–", "–")
            if slowed is None
            else (change(_as_measured(slowed, panel), panel.unit), slowed.verdict)
        ),
    )
    name = f"{heading(panel)} ({label})"
    said = [
        f"{name}: exponent b {_exponent(law, 0)}, {_limit(law, panel)}; the largest point, "
        f"{held.decades_beyond:.1f} decades beyond the others, is predicted with an error of "
        f"{change(held.error, panel.unit)}."
    ]
    if slowed is not None:
        said.append(
            f"{name} {_VERDICTS[slowed.verdict]}: the last decade of tokens changed it by "
            f"{signed(_as_measured(slowed, panel), panel.unit)}."
        )
    return row, said


def _exponent(law: Law, variable: int) -> str:
    return "a step" if variable in law.stepped else plain(law.exponents[variable])


def _limit(law: Law, panel: Panel) -> str:
    """What the exponent means for what is still to come."""
    if law.bounded:
        return f"towards {score(law.offset, panel.unit)}"
    if law.exponents[0].high < -LEAST * 1.05:
        return "each decade changes it more than the one before"
    return "no limit is seen, and a logarithm fits as well"


def _as_measured(slowed: Saturation, panel: Panel) -> Interval:
    """The last decade's change of the metric: of one that is better the lower, gains are falls."""
    last = slowed.last
    return last if panel.higher else Interval(-last.value, -last.high, -last.low)


def _figure(panel: Panel, spots: Sequence[int]) -> Figure:
    sizes, means, draws = panel.sizes(spots), panel.means[list(spots)], panel.draws[:, list(spots)]
    law = Law.of(sizes, means, draws)
    x = np.geomspace(sizes[0], sizes[-1] * 10**_BEYOND, 60)
    curves = law.at(x)
    low, high = np.percentile(curves[1:], [2.5, 97.5], axis=0)
    mark = Line(f"law, drawn {_BEYOND:g} decade beyond the data", x, curves[0], low, high)
    title = f"{heading(panel)}: law"
    alone = panel.alone(panel.spots[spots[0]].line)
    level = None if alone is None else float(panel.means[alone])
    svg, png = lines_chart([line_of(panel, spots, "measured", level)], axes_of(panel, title), [mark])
    alt = f"{title}: measured points up to {tokens(sizes[-1])} and the fitted power law with its 95% band."
    return Figure(slug("law", panel.task, panel.metric), title, alt, svg, png)


def _joint(panel: Panel) -> Table | None:
    """The law of readers and datastore; None of fewer than three sizes of either, which fix no exponent."""
    rows = []
    for what, of in (("parameters", "reader_parameters"), ("bytes", "reader_bytes")):
        found = joint_points(panel, of)
        if found is not None:
            rows.append(_joint_row(panel, what, *found))
    if not rows:
        return None
    return Table(f"{heading(panel)}: e + a N^-alpha + b D^-beta", _JOINT, tuple(rows))


def joint_points(panel: Panel, of: str) -> tuple[Floats, list[int]] | None:
    """Sizes [n, 2] of readers and datastores, and their spots: the most that differ in nothing else.

    Bytes may differ by the quantization, parameters do not: a law of parameters is of one quantization.
    """
    if not len(panel.draws):
        return None
    alike: dict[Cell, list[int]] = {}
    for line, spots in panel.lines.items():
        known = [at for at in spots if getattr(panel.spots[at].basis, of) and panel.spots[at].basis.tokens]
        quantization = "" if of == "reader_bytes" else line.quantization
        alike.setdefault(replace(line, reader="", quantization=quantization), []).extend(known)
    chosen = max(alike.values(), key=len, default=[])
    points = np.array(
        [(getattr(panel.spots[at].basis, of), panel.spots[at].basis.tokens) for at in chosen], float
    )
    if len(chosen) < FEWEST_JOINT or min(len(set(column)) for column in points.T) < _FEWEST_SIZES:
        return None
    return points, chosen


def _joint_row(panel: Panel, what: str, points: Floats, spots: Sequence[int]) -> tuple[str, ...]:
    means, draws = panel.means[list(spots)], panel.draws[:, list(spots)]
    law, held = Law.of(points, means, draws), hold_out(points, means, draws)
    return (
        *(what, _exponent(law, 0), _exponent(law, 1)),
        score(law.offset, panel.unit) if law.bounded else "none seen",
        f"{law.explained:.3f}",
        score(held.predicted, panel.unit),
        number(held.measured, panel.unit),
        change(held.error, panel.unit),
    )
