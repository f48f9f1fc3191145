"""Compute-optimal: operations for training, datastore and questions served against the metric."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pipelines.evaluate.analysis.compute import Fronts, Work, fronts
from pipelines.evaluate.analysis.panels import Panel, Spot
from pipelines.evaluate.report.about import About
from pipelines.evaluate.report.charts import front_chart
from pipelines.evaluate.report.section import Figure, Section, Table
from pipelines.evaluate.report.sections.curves import axes_of
from pipelines.evaluate.report.sections.spending import dots
from pipelines.evaluate.report.sections.study import Study, heading, slug, spot_names
from pipelines.evaluate.report.wording import change, score, size

_TITLE = "Compute-optimal"
_INTRO = (
    "Operations: training a reader 6 N D, embedding a datastore 2 N a token of its encoder's, each question "
    "2 N a token "
    "read or written. A prompt that was not counted is reckoned as its passages (k times the mean passage) "
    "and {beside} tokens "
    "beside them."
)
_COLUMNS = (
    "questions served",
    "operations",
    "best with or without",
    "metric",
    "best LM alone at no more",
    "retrieval brings",
)
_UNKNOWN = (
    "No reader whose parameters and training tokens are known was measured both alone and with passages of "
    "a known "
    "encoder: study.yaml may give training_tokens and encoder_parameters."
)
# Question, instructions and answer, where no table says how long prompts were.
_BESIDE = 64


def compute(study: Study) -> Section:
    """The section; it says why where training is not known."""
    tables, figures, claims = [], [], []
    for panel in study.answered:
        works = [_work(spot, study.about) for spot in panel.spots]
        spots = [at for at, work in enumerate(works) if work is not None]
        alone = [panel.spots[at].alone for at in spots]
        if any(alone) and not all(alone):
            labels = spot_names([panel.spots[at] for at in spots])
            ways = [
                replace(work, name=label) for work, label in zip(filter(None, works), labels, strict=True)
            ]
            scores = panel.means[spots], panel.draws[:, spots]
            of_each = [fronts(ways, scores, count, panel.higher) for count in study.about.queries]
            tables.append(_table(panel, ways, of_each))
            figures += [_figure(panel, one) for one in of_each]
            claims += [_claim(panel, ways, one) for one in of_each]
    if not tables:
        return Section("compute", _TITLE, absent=_UNKNOWN)
    return Section("compute", _TITLE, _INTRO.format(beside=_BESIDE), claims, tables, figures)


def _work(spot: Spot, known: About) -> Work | None:
    """What a spot takes; None where reader, its training or the encoder is not known."""
    basis = spot.basis
    trained = basis.reader_training_tokens or known.training_tokens.get(spot.cell.reader)
    encoder = basis.encoder_parameters or known.encoder_parameters
    if not basis.reader_parameters or not trained or (encoder is None and not spot.alone):
        return None
    reckoned = _BESIDE + spot.cell.k * basis.tokens / max(1, basis.passages)
    read = reckoned if basis.prompt_tokens is None else basis.prompt_tokens + (basis.answer_tokens or 0)
    tokens = 0.0 if spot.alone else float(basis.tokens)
    return Work("", float(basis.reader_parameters), float(trained), float(encoder or 0), tokens, read)


def _table(panel: Panel, ways: Sequence[Work], of_each: Sequence[Fronts]) -> Table:
    rows = []
    for one in of_each:
        for at in np.flatnonzero(one.every.on)[np.argsort(one.every.costs[one.every.on])]:
            budget = float(one.every.costs[at])
            alone = one.alone.best(budget)
            gain = one.gain(budget)
            rows.append(
                (
                    size(one.questions),
                    f"{budget:.1e}",
                    ways[at].name,
                    score(one.every.score(int(at)), panel.unit),
                    "–" if alone is None else ways[one.alone_at[alone]].name,
                    "–" if gain is None or one.alone_at[alone or 0] == at else change(gain, panel.unit),
                )
            )
    return Table(f"{heading(panel)}, n = {panel.questions:,}", _COLUMNS, tuple(rows))


def _figure(panel: Panel, one: Fronts) -> Figure:
    alone = np.isin(np.arange(len(one.every.costs)), one.alone_at)
    title = f"{heading(panel)}: {size(one.questions)} questions served"
    svg, png = front_chart(
        dots(one.every, alone), axes_of(panel, title, "operations, training and datastore included")
    )
    alt = f"{title}: fronts of operations with passages and without."
    return Figure(slug("compute", panel.task, panel.metric, size(one.questions)), title, alt, svg, png)


def _claim(panel: Panel, ways: Sequence[Work], one: Fronts) -> str:
    """What the best reader alone takes, and what retrieval takes to be as good."""
    best, found = one.best_alone(), one.match()
    said = (
        f"{heading(panel)}, {size(one.questions)} questions served: the best reader alone, "
        f"{ways[best].name}, "
        f"takes {one.every.costs[best]:.1e} operations"
    )
    if found is None:
        return f"{said}; no way with passages is as good."
    at, share = found
    gain = change(one.every.against(at, best), panel.unit)
    return (
        f"{said}; {ways[at].name} takes {share:.2g} times that, and the difference of the metric is {gain}."
    )
