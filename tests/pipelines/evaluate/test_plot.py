import io

import numpy as np
import pytest

from pipelines.evaluate.curve import Basis, Curve, Point, StoreShare
from pipelines.evaluate.curve_study import Study
from pipelines.evaluate.intervals import Score
from pipelines.evaluate.metrics import CONTAINMENT, READER, SUCCESS
from pipelines.evaluate.plot import draw, style

SHARES = (0.1, 0.3, 1.0)


def point(metric, k, fraction, value):
    share = StoreShare(fraction, 3, int(2000 * fraction))
    return Point(metric, k, share, Score(value, value, value, 40), 0, Basis("hash", "encoder", "dense"))


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draws points, and gives the figure back."""
    from matplotlib.figure import Figure

    figures = []
    savefig = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (figures.append(self), savefig(self, *a, **k))[1]
    )

    def of(points):
        handle = io.BytesIO()
        draw(Curve(Study(tmp_path, tmp_path / "web.jsonl", tmp_path), tuple(points), 1234), handle)
        assert handle.getvalue().startswith(b"\x89PNG")
        return figures[-1]

    return of


def test_the_plot_has_a_panel_for_passages_and_one_for_the_reader(drawn):
    points = [point(CONTAINMENT, k, f, 0.1 * k * f) for k in (1, 5) for f in (0.1, 1.0)]
    points += [point(READER[1], 3, f, 0.2 + 0.3 * f) for f in (0.0, 0.1, 1.0)]
    figure = drawn(points)
    retrieval, reader = figure.axes
    assert [line.get_label() for line in retrieval.lines] == ["containment@1", "containment@5"]
    assert [line.get_label() for line in reader.lines] == ["containment", "containment, LM alone"]
    assert list(reader.lines[1].get_ydata()) == [20.0, 20.0]
    assert {axes.get_ylabel() for axes in figure.axes} == {"% of questions (shaded: 95% interval)"}


def test_what_is_not_better_the_higher_it_is_has_no_curve(drawn):
    points = [point(metric, 3, f, 0.2) for metric in READER for f in (0.0, 1.0)]
    (axes,) = drawn(points).axes
    named = ["exact match", "containment", "F1"]
    assert [line.get_label() for line in axes.lines] == [*named, *(f"{one}, LM alone" for one in named)]
    assert axes.get_ylabel() == "% of questions, F1 in % (shaded: 95% interval)"


def test_the_title_says_how_many_questions_and_passages_there_are(drawn):
    title = drawn([point(SUCCESS, 1, f, 0.5) for f in SHARES]).get_suptitle()
    assert title == "web: 1,234 questions, up to 2,000 passages"


def test_curves_that_lie_on_each_other_are_all_seen(drawn):
    points = [point(metric, k, f, f) for metric in (SUCCESS, CONTAINMENT) for k in (1, 5, 20) for f in SHARES]
    lines = drawn(points).axes[0].lines
    for of_each in ("get_color", "get_marker", "get_markersize", "get_linewidth"):
        assert len({getattr(line, of_each)() for line in lines}) == 6, of_each
    assert [line.get_markersize() for line in lines] == sorted(
        (line.get_markersize() for line in lines), reverse=True
    )
    assert {line.get_markerfacecolor() for line in lines} == {"none"}


@pytest.mark.parametrize("value", [0.0, 0.004, 1.0])
def test_a_curve_at_an_edge_is_not_cut(drawn, value):
    points = [point(READER[0], 3, f, value) for f in (0.0, *SHARES)]
    low, high = drawn(points).axes[0].get_ylim()
    assert low < 0 < 100 * value + 0.01 < high


def test_the_lm_alone_is_seen_of_each_metric_where_all_are_0(drawn):
    points = [point(metric, 3, f, 0.0) for metric in READER[:2] for f in (0.0, *SHARES)]
    alone = [line for line in drawn(points).axes[0].lines if line.get_label().endswith("LM alone")]
    assert len({line.get_color() for line in alone}) == 2
    # Each is drawn where the other leaves a gap.
    assert [line._unscaled_dash_pattern for line in alone] == [(0.0, (4.0, 4.0)), (4.0, (4.0, 4.0))]


@pytest.mark.parametrize("fractions", [(1.0,), SHARES, (0.0001, 0.1, 1.0), (0.1, 0.9, 0.95, 1.0)])
def test_ticks_are_the_sizes_measured(drawn, fractions):
    axis = drawn([point(SUCCESS, 1, f, 0.5) for f in fractions]).axes[0].xaxis
    sizes = [int(2000 * f) for f in fractions if int(2000 * f)]
    assert np.allclose(axis.get_ticklocs(), sizes)
    assert [label.get_text() for label in axis.get_ticklabels()] == [f"{size:,}" for size in sizes]
    assert not len(axis.get_ticklocs(minor=True))


def test_no_two_curves_of_a_panel_look_the_same():
    styles = [style(number) for number in range(36)]
    assert len(set(styles)) == 36
    assert [marker for *_, marker in styles[:6]] == ["o", "s", "^", "D", "v", "P"]
