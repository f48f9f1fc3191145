"""Energy: joules, carbon dioxide and water of a question against the metric."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipelines.evaluate.analysis.footprint import Factors, footprint
from pipelines.evaluate.analysis.fronts import Front
from pipelines.evaluate.analysis.panels import Panel
from pipelines.evaluate.report.charts import front_chart
from pipelines.evaluate.report.section import Figure, Section, Table
from pipelines.evaluate.report.sections.curves import axes_of
from pipelines.evaluate.report.sections.spending import dots, front_tables
from pipelines.evaluate.report.sections.study import Study, heading, slug, spot_names
from pipelines.evaluate.report.wording import change, percent, score

_TITLE = "Energy, carbon dioxide and water"
_COLUMNS = ("way", "J a question", "CO2, mg a question", "water, ml a question", "metric", "on the front in")


def energy(study: Study) -> Section:
    """The section; it says why where nothing was metered."""
    factors = study.about.factors
    tables, figures, claims = [], [], []
    for panel in study.answered:
        spots = [at for at, spot in enumerate(panel.spots) if spot.basis.joules]
        if not spots:
            continue
        joules = np.array([panel.spots[at].basis.joules or 0.0 for at in spots])
        front = Front.of(joules, panel.means[spots], panel.draws[:, spots], panel.higher)
        front = replace(front, scores=tuple(map(panel.score, spots)))
        labels = spot_names([panel.spots[at] for at in spots])
        tables += _tables(panel, labels, front, factors)
        if len(spots) > 1:
            figures.append(_figure(panel, spots, front))
            claims += _claim(panel, labels, front, factors)
    if not tables:
        return Section("energy", _TITLE, absent="No joules are in the tables, as nothing was metered.")
    return Section("energy", _TITLE, _intro(factors), claims, tables, figures)


def _intro(factors: Factors) -> str:
    return (
        "CO2 = energy x PUE x grams a kWh; water = energy x (litres a kWh on site + PUE x litres a kWh of "
        "electricity). PUE "
        f"{factors.pue:.3g} ({factors.pue.source}), {factors.carbon:.3g} g a kWh ({factors.carbon.source}), "
        f"{factors.water_on_site:.3g} l on site ({factors.water_on_site.source}), "
        f"{factors.water_of_electricity:.3g} l of "
        f"electricity ({factors.water_of_electricity.source}). What making the machines took is not in it."
    )


def _tables(panel: Panel, labels: Sequence[str], front: Front, factors: Factors) -> list[Table]:
    rows = {}
    for at in np.argsort(front.costs, kind="stable").tolist():
        took = footprint(float(front.costs[at]), factors)
        rows[at] = (
            *(labels[at], f"{took.joules:.3g}", f"{1000 * took.co2_g:.3g}", f"{took.water_ml:.3g}"),
            score(front.score(at), panel.unit),
            percent(front.share[at]),
        )
    return front_tables(f"{heading(panel)}, n = {panel.questions:,}", _COLUMNS, rows, front)


def _figure(panel: Panel, spots: Sequence[int], front: Front) -> Figure:
    alone = np.array([panel.spots[at].alone for at in spots])
    title = f"{heading(panel)}: energy"
    svg, png = front_chart(dots(front, alone), axes_of(panel, title, "energy of a question", "J"))
    alt = f"{title}: {len(spots)} ways by their joules a question."
    return Figure(slug("energy", panel.task, panel.metric), title, alt, svg, png)


def _claim(panel: Panel, labels: Sequence[str], front: Front, factors: Factors) -> list[str]:
    """What the best way takes and gains beside the one that takes least."""
    best, least = front.best(float(front.costs.max())), int(front.costs.argmin())
    if best is None or best == least:
        return []
    more, took = front.costs[best] / front.costs[least], footprint(float(front.costs[best]), factors)
    return [
        f"{heading(panel)}: {labels[best]} takes {took.joules:.3g} J, {1000 * took.co2_g:.3g} mg of CO2 and "
        f"{took.water_ml:.3g} ml of water a question, {more:.3g} times what {labels[least]} takes; the "
        "difference of the "
        f"metric is {change(front.against(best, least), panel.unit)}."
    ]
