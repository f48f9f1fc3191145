"""Datastore mixture by regression: which shares of domains a fixed number of passages should have."""

from collections.abc import Sequence

import numpy as np

from pipelines.evaluate.analysis.mixture import Regression, shares
from pipelines.evaluate.analysis.resampling import Floats, Interval, Measured
from pipelines.evaluate.mixtures.tables import (
    BEST_DRAWN,
    COMPARED,
    DRAWN,
    MIXTURES,
    NATURAL,
    PREDICTED,
    Compared,
    Mixture,
    read,
)
from pipelines.evaluate.report.charts import Axes, scatter_chart
from pipelines.evaluate.report.section import Figure, Section, Table
from pipelines.evaluate.report.sections.study import Study, slug
from pipelines.evaluate.report.wording import change, number, plain, score

_TITLE = "Datastore mixture by regression"
_INTRO = (
    "Random mixtures of the domains, each of the same number of passages, searched as views of one search. "
    "A ridge "
    "regression from a mixture's shares and their roots to the metric names the mixture that it expects to "
    "be best. One half "
    "of the questions chooses it. The other half, and samples with other seeds, say what it is worth."
)
# Metrics of passages are shares.
_UNIT = "% of questions"


def mixture(study: Study) -> Section:
    """The section; it says why where no mixtures were tried."""
    rows = read(study.folder / MIXTURES, Mixture)
    if not rows:
        return Section(
            "mixture", _TITLE, absent="No mixtures were tried: `ralm eval mixtures` tries some hundreds."
        )
    compared = read(study.folder / COMPARED, Compared)
    tables, figures, claims, notes = [], [], [], []
    for task in dict.fromkeys(one.task for one in rows):
        mine = [one for one in rows if one.task == task]
        regression, kept = fitted(mine)
        tables += [_shares(task, mine), _compared(task, mine, [one for one in compared if one.task == task])]
        figures.append(_figure(task, mine, regression))
        claims += _claims(task, mine, regression, comparison(compared, task, (PREDICTED, NATURAL)))
        short = sum(one.short for one in mine if one.role == DRAWN)
        if short:
            of_all = len(kept) * (_of(mine, DRAWN).n + _of(mine, NATURAL).n)
            notes.append(
                f"{task}: in {short:,} of {of_all:,} pairs of a question and a mixture fewer than k of the "
                "nearest passages "
                "were left."
            )
    return Section("mixture", _TITLE, _INTRO, claims, tables, figures, notes)


def fitted(rows: Sequence[Mixture]) -> tuple[Regression, Floats]:
    """The regression of the mixtures that were drawn, and their shares [n, domains]."""
    tried = [one for one in rows if one.role == DRAWN]
    of = shares(np.array([one.rates for one in tried]), np.array(tried[0].passages, float))
    return Regression.of(of, np.array([one.value for one in tried])), of


def comparison(rows: Sequence[Compared], task: str, roles: tuple[str, str]) -> Interval:
    """The metric of one role less that of another, on the same questions and seeds."""
    of = measured(rows, task, roles)
    means, draws = of.means(), of.resampled()
    return Interval.of(means[0] - means[1], draws[:, 0] - draws[:, 1])


def measured(rows: Sequence[Compared], task: str, roles: Sequence[str]) -> Measured:
    """Values of roles as points, of the questions that all of them have."""
    found = {role: [one for one in rows if one.task == task and one.role == role] for role in roles}
    names = sorted(set.intersection(*[{one.question for one in of} for of in found.values()]))
    clusters = {one.question: one.cluster for one in found[roles[0]]}
    values = []
    for of in found.values():
        by = {(one.seed, one.question): one.value for one in of}
        values.append(
            np.array([[by[seed, name] for name in names] for seed in sorted({one.seed for one in of})])
        )
    return Measured.of(values, np.array([clusters[name] for name in names]))


def _of(rows: Sequence[Mixture], role: str) -> Mixture:
    return next(one for one in rows if one.role == role)


def _shares(task: str, rows: Sequence[Mixture]) -> Table:
    chosen = [_of(rows, role) for role in (NATURAL, PREDICTED, BEST_DRAWN)]
    sizes = np.array(chosen[0].passages, float)
    of = shares(np.array([one.rates for one in chosen]), sizes)
    kept = chosen[1].rates
    columns = ("domain", "passages", "natural", PREDICTED, f"{PREDICTED}: kept of it", BEST_DRAWN)
    cells = [
        (name, f"{sizes[at]:,.0f}", _share(of[0, at]), _share(of[1, at]), _share(kept[at]), _share(of[2, at]))
        for at, name in enumerate(chosen[0].domains)
    ]
    return Table(f"{task}: what {chosen[0].budget:,} passages are made of", columns, tuple(cells))


def _share(value: float) -> str:
    return f"{100 * value:.1f}%"


def _compared(task: str, rows: Sequence[Mixture], compared: Sequence[Compared]) -> Table:
    cells = []
    for role in (NATURAL, PREDICTED, BEST_DRAWN):
        of = measured(compared, task, (role,))
        against = "–" if role == NATURAL else change(comparison(compared, task, (role, NATURAL)), _UNIT)
        cells.append((role, score(Interval.of(of.means()[0], of.resampled()[:, 0]), _UNIT), against))
    one = _of(rows, NATURAL)
    caption = f"{task}: {one.metric}@{one.k} on the half that chose nothing, n = {one.n:,}"
    return Table(caption, ("mixture", one.metric, "against the natural one"), tuple(cells))


def _figure(task: str, rows: Sequence[Mixture], regression: Regression) -> Figure:
    tried = np.array([one.value for one in rows if one.role == DRAWN])
    title = f"{task}: mixtures, predicted and measured"
    how = Axes(title, "predicted by fits that had not seen it, %", "measured, % of questions", percent=True)
    svg, png = scatter_chart(regression.unseen, tried, _of(rows, DRAWN).metric, how)
    alt = f"{title}: {len(tried)} mixtures; rank correlation {plain(regression.rank)}."
    return Figure(slug("mixture", task), title, alt, svg, png)


def _claims(task: str, rows: Sequence[Mixture], regression: Regression, gain: Interval) -> list[str]:
    tried, best = [one for one in rows if one.role == DRAWN], _of(rows, PREDICTED)
    of = shares(np.array([best.rates]), np.array(best.passages, float))[0]
    most = sorted(zip(of, best.domains, strict=True), reverse=True)[:3]
    named = ", ".join(f"{name} {_share(value)}" for value, name in most)
    return [
        f"{task}: of {len(tried):,} mixtures of {best.budget:,} passages the predicted best is {named}; "
        "against the natural "
        f"mixture it brings {change(gain, _UNIT)} ({best.metric}@{best.k}, {number(best.value, _UNIT)}).",
        f"{task}: what the regression predicts of mixtures that it has not seen has a rank correlation of "
        f"{plain(regression.rank)} with what was measured.",
    ]
