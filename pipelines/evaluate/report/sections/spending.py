"""Bits, passages and parameters: all bytes of a reader and its datastore against the metric."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.analysis.fronts import Front
from pipelines.evaluate.analysis.laws import Law
from pipelines.evaluate.analysis.panels import Panel
from pipelines.evaluate.analysis.resampling import Interval
from pipelines.evaluate.analysis.spending import Advice, Way, advice, best_split, front_of
from pipelines.evaluate.report.charts import Dots, front_chart
from pipelines.evaluate.report.section import Figure, Section, Table
from pipelines.evaluate.report.sections.curves import axes_of
from pipelines.evaluate.report.sections.laws import joint_points
from pipelines.evaluate.report.sections.study import Study, heading, slug, spot_names
from pipelines.evaluate.report.wording import change, percent, plain, score, size

_TITLE = "Bits, passages and parameters"
_INTRO = (
    "Bytes are those of the reader as it was measured in memory, of the index's codes in memory and of the "
    "stored vectors; "
    "passages' text is read from disk and not counted. A way is on the front if no cheaper one is better; "
    "the share says in "
    "how many resamples of the questions and samples it is."
)
_COLUMNS = ("way", "bytes", "weights", "bits a parameter", "metric", "on the front in")
# Rivals that a sentence names.
_NAMED = 3


def spending(study: Study) -> Section:
    """The section; it says why where no reader's bytes are known."""
    tables, figures, claims = [], [], []
    for panel in study.answered:
        spots = [at for at, spot in enumerate(panel.spots) if spot.basis.reader_bytes]
        if len(spots) < 2:
            continue
        ways = _ways(panel, spots)
        front = front_of(ways, panel.means[spots], panel.draws[:, spots], panel.higher)
        front = replace(front, scores=tuple(map(panel.score, spots)))
        tables += _tables(panel, ways, front)
        figures.append(_figure(panel, ways, front))
        claims += [_claim(panel, one) for one in advice(ways, front)]
        claims += _split(panel, [way.bytes for way in ways])
    if not tables:
        why = "No reader's bytes are in the tables of questions or texts, so nothing can be spent."
        return Section("spending", _TITLE, absent=why)
    return Section("spending", _TITLE, _INTRO, claims, tables, figures)


def _ways(panel: Panel, spots: Sequence[int]) -> list[Way]:
    chosen = [panel.spots[at] for at in spots]
    return [
        Way(
            name,
            float(spot.basis.reader_bytes or 0),
            0.0 if spot.alone else float(spot.basis.index_bytes + spot.basis.vector_bytes),
            float(spot.basis.reader_parameters or 0),
        )
        for name, spot in zip(spot_names(chosen), chosen, strict=True)
    ]


def _tables(panel: Panel, ways: Sequence[Way], front: Front) -> list[Table]:
    """The ways on the front, and behind them all ways."""
    order = np.argsort(front.costs, kind="stable").tolist()
    rows = {
        at: (
            ways[at].name,
            size(ways[at].bytes, "B"),
            f"{100 * ways[at].weights_share:.0f}%",
            f"{ways[at].bits:.1f}" if ways[at].parameters else "–",
            score(front.score(at), panel.unit),
            percent(front.share[at]),
        )
        for at in order
    }
    return front_tables(f"{heading(panel)}, n = {panel.questions:,}", _COLUMNS, rows, front)


def front_tables(
    caption: str, columns: tuple[str, ...], rows: Mapping[int, tuple[str, ...]], front: Front
) -> list[Table]:
    """A table of the ways on a front, and a folded one of all, by their numbers in the order of rows."""
    on = tuple(row for at, row in rows.items() if front.on[at])
    return [
        Table(f"{caption}: the ways on the front", columns, on),
        Table(f"{caption}: all {len(rows)} ways", columns, tuple(rows.values()), folded=True),
    ]


def _figure(panel: Panel, ways: Sequence[Way], front: Front) -> Figure:
    alone = np.array([not way.passage_bytes for way in ways])
    title = f"{heading(panel)}: bytes"
    svg, png = front_chart(dots(front, alone), axes_of(panel, title, "weights, index and vectors", "B"))
    alt = f"{title}: {len(ways)} ways to spend bytes, {int(front.on.sum())} of them on the front."
    return Figure(slug("bytes", panel.task, panel.metric), title, alt, svg, png)


def dots(front: Front, alone: NDArray[np.bool_]) -> list[Dots]:
    """A front's ways for a chart: those with passages and those without, each with its own front."""
    scores = [front.score(int(at)) for at in range(len(front.costs))]
    low, high = (np.array([getattr(one, name) for one in scores]) for name in ("low", "high"))
    found = []
    for label, kept in (("with passages", ~alone), ("LM alone", alone)):
        if kept.any():
            own = Front.of(front.costs[kept], front.means[kept], front.draws[:, kept], front.higher)
            found.append(Dots(label, own.costs, own.means, low[kept], high[kept], own.on))
    return found


def _claim(panel: Panel, one: Advice) -> str:
    bits = f" at {one.best.bits:.1f} bits a parameter" if one.best.parameters else ""
    weights, passages = _parts(one.best.weights_share)
    said = (
        f"{heading(panel)}: at {size(one.budget, 'B')}, spend {weights} on weights{bits} and {passages} "
        "on passages "
        f"({one.best.name}): {score(one.value, panel.unit)}"
    )
    if one.gain is not None:
        said += f"; over the LM alone at no more bytes {change(one.gain, panel.unit)}"
    if one.rivals:
        named = "; ".join(way.name for way in one.rivals[:_NAMED])
        more = f" and {len(one.rivals) - _NAMED} more" if len(one.rivals) > _NAMED else ""
        said += f". The difference is none to {named}{more}"
    return said + "."


def _parts(weights: float) -> tuple[str, str]:
    """Two shares in per cent that never say nothing of what is something."""
    digits = 0 if weights in (0, 1) or 0.005 <= weights < 0.995 else 2
    return f"{100 * weights:.{digits}f}%", f"{100 * (1 - weights):.{digits}f}%"


def _split(panel: Panel, budgets: Sequence[float]) -> list[str]:
    """What the law of bytes and tokens would spend of the largest budget, if there is such a law."""
    found = joint_points(panel, "reader_bytes")
    if found is None:
        return []
    points, spots = found
    law = Law.of(points, panel.means[spots], panel.draws[:, spots])
    each = [panel.spots[at].basis for at in spots]
    a_token = float(np.mean([(one.index_bytes + one.vector_bytes) / one.tokens for one in each]))
    split = best_split(law, max(budgets), a_token, panel.higher)
    share = Interval(
        *(100 * of for of in (split.weights_share.value, split.weights_share.low, split.weights_share.high))
    )
    far = f", {split.decades_beyond:.1f} decades beyond what was measured" if split.decades_beyond > 1 else ""
    return [
        f"{heading(panel)}: by the law of bytes and tokens, of {size(split.budget, 'B')} {plain(share)}% "
        "are best spent "
        f"on weights{far}: {score(split.value, panel.unit)}."
    ]
