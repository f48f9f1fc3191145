"""What to keep: the store without each domain, what filters change, what right answers came from."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipelines.evaluate.analysis.keeping import changes, used
from pipelines.evaluate.analysis.panels import Panel, is_share
from pipelines.evaluate.analysis.resampling import Interval
from pipelines.evaluate.mixtures.tables import (
    COMPARED,
    MIXTURES,
    USED,
    WHOLE,
    WITHOUT,
    Compared,
    Mixture,
    Used,
    read,
)
from pipelines.evaluate.report.charts import Axes, bars_chart
from pipelines.evaluate.report.naming import name
from pipelines.evaluate.report.section import Figure, Section, Table
from pipelines.evaluate.report.sections.mixture import comparison
from pipelines.evaluate.report.sections.study import Study, heading, slug
from pipelines.evaluate.report.wording import change, score

_TITLE = "What to keep"
_INTRO = (
    "The whole store less each domain, searched by the same questions; what each filter, condition or "
    "reranker changes, all "
    "else alike; and which domains the right passages came from."
)
_UNIT = "% of questions"
# Passages that are named for having been right most often.
_NAMED = 10


def keeping(study: Study) -> Section:
    """The section; it says why where there is nothing to compare."""
    tables, figures, claims = [], [], []
    rows, compared = read(study.folder / MIXTURES, Mixture), read(study.folder / COMPARED, Compared)
    for task in dict.fromkeys(one.task for one in rows):
        without = _without([one for one in rows if one.task == task], compared)
        tables.append(_domains(task, without))
        figures.append(_figure(task, without))
        claims += _claims(task, without)
    tables += [table for panel in study.panels if (table := _filters(panel)) is not None]
    passages = read(study.folder / USED, Used)
    for task in dict.fromkeys(one.task for one in passages):
        tables += _used(study, task, [one for one in passages if one.task == task])
    if not tables:
        why = (
            "Nothing was left out of a store: `ralm eval mixtures` leaves out each domain, and a study may "
            "have domains, "
            "conditions, filters or rerankers as axes."
        )
        return Section("keeping", _TITLE, absent=why)
    return Section("keeping", _TITLE, _INTRO, claims, tables, figures)


def _without(rows: Sequence[Mixture], compared: Sequence[Compared]) -> dict[str, tuple[Mixture, Interval]]:
    """Of each domain, what is left without it, and what that changes; what loses most first."""
    whole = next(one for one in rows if one.role == WHOLE)
    found = {
        one.role.removeprefix(WITHOUT): (one, comparison(compared, one.task, (one.role, WHOLE)))
        for one in rows
        if one.role.startswith(WITHOUT)
    }
    return {WHOLE: (whole, Interval(0, 0, 0))} | dict(sorted(found.items(), key=lambda one: one[1][1].value))


def _domains(task: str, without: dict[str, tuple[Mixture, Interval]]) -> Table:
    whole = without[WHOLE][0]
    cells = [
        (
            "nothing" if name == WHOLE else name,
            f"{whole.budget - one.budget:,}",
            f"{100 * one.value:.1f}",
            "–" if name == WHOLE else change(gain, _UNIT),
        )
        for name, (one, gain) in without.items()
    ]
    caption = (
        f"{task}: the store without each domain, {whole.metric}@{whole.k}, % of questions, n = {whole.n:,}"
    )
    return Table(caption, ("left out", "passages", whole.metric, "against the whole store"), tuple(cells))


def _figure(task: str, without: dict[str, tuple[Mixture, Interval]]) -> Figure:
    of = {name: gain for name, (_, gain) in without.items() if name != WHOLE}
    title = f"{task}: without one domain"
    bounds = np.array([[gain.value, gain.low, gain.high] for gain in of.values()])
    svg, png = bars_chart(list(of), bounds, Axes(title, "points, against the whole store", "", percent=True))
    alt = f"{title}: " + "; ".join(f"{name} {change(gain, _UNIT)}" for name, gain in of.items()) + "."
    return Figure(slug("without", task), title, alt, svg, png)


def _claims(task: str, without: dict[str, tuple[Mixture, Interval]]) -> list[str]:
    of = {name: gain for name, (_, gain) in without.items() if name != WHOLE}
    costly = [f"{name} {change(gain, _UNIT)}" for name, gain in of.items() if gain.high < 0]
    idle = [name for name, gain in of.items() if gain.is_none]
    said = [f"{task}: leaving out costs: {'; '.join(costly)}."] if costly else []
    return [*said, f"{task}: no difference without {', '.join(idle)}."] if idle else said


def _filters(panel: Panel) -> Table | None:
    cells = []
    for one in changes(panel):
        plain = panel.spots[one.without].cell
        axes = [
            axis
            for axis in ("reader", "quantization", "adapter", "method", "k", "fraction")
            if getattr(plain, axis)
        ]
        gain = panel.gain(one.with_it, one.without)
        cells.append(
            (
                *(one.axis, one.what, name(plain, axes), score(panel.score(one.without), panel.unit)),
                *(score(panel.score(one.with_it), panel.unit), change(gain, panel.unit)),
            )
        )
    if not cells:
        return None
    columns = ("axis", "value", "all else", "without it", "with it", "difference")
    return Table(f"{heading(panel)}: what filters change, n = {panel.questions:,}", columns, tuple(cells))


def _used(study: Study, task: str, passages: Sequence[Used]) -> list[Table]:
    """Two tables: domains, and the passages that were right most often."""
    answered, how = _answered(study, task)
    within = [one for one in passages if how is None or one.question in answered[1]]
    of = used([(one.question, one.domain, one.right) for one in within], answered[0])
    of_answers = "–" if how is None else ""
    cells = tuple(
        (one.domain, f"{one.shown:,}", f"{one.right:,}", of_answers or f"{one.answered:,}") for one in of
    )
    caption = f"{task}: where the whole store's passages came from" + (f"; answers by {how}" if how else "")
    found = [Table(caption, ("domain", "among the first k", "right", "right, and rightly answered"), cells)]
    often = Counter((one.domain, one.document, one.chunk) for one in within if one.right).most_common(_NAMED)
    several = tuple(
        (domain, document, f"{chunk}", f"{count:,}")
        for (domain, document, chunk), count in often
        if count > 1
    )
    if several:
        found.append(
            Table(
                f"{task}: passages that were right most often",
                ("domain", "document", "passage", "questions"),
                several,
            )
        )
    return found


def _answered(study: Study, task: str) -> tuple[tuple[set[str], set[str]], str | None]:
    """Questions that a reader answered rightly with the whole store, and those asked; by which metric."""
    for panel in study.answered:
        if panel.task != task or not is_share(panel.unit):
            continue
        whole = [spots[-1] for spots in panel.lines.values() if panel.spots[spots[-1]].cell.fraction == 1]
        if whole:
            best = max(whole, key=lambda at: float(panel.means[at]))
            values = panel.measured.values[best].mean(axis=0)
            right = {one for one, value in zip(panel.names, values, strict=True) if value >= 1}
            return (right, set(panel.names)), f"{panel.metric} of {panel.spots[best].cell.reader}"
    return (set(), set()), None
