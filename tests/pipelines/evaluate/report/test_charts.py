import numpy as np
import pytest

from pipelines.evaluate.report import charts
from pipelines.evaluate.report.charts import (
    Axes,
    Dots,
    Line,
    bars_chart,
    front_chart,
    lines_chart,
    scatter_chart,
)

X = np.array([1e6, 1e7, 1e8])
HOW = Axes("title", "tokens", "% of questions", percent=True)


@pytest.fixture
def figures(monkeypatch):
    """Charts are drawn, and kept to be looked at, without being written."""
    from matplotlib.figure import Figure

    kept = []

    def drawn(draw, height=1.0):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        draw(figure, axes)
        figure.draw_without_rendering()
        kept.append((figure, axes))
        return b"svg", b"png"

    monkeypatch.setattr(charts, "drawn", drawn)
    return kept


def line(label, level=None):
    y = np.array([0.1, 0.2, 0.3])
    return Line(label, X, y, y - 0.05, y + 0.05, level)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_lines_lie_over_a_logarithm_in_per_cent_with_bands(figures):
    lines_chart([line("a"), line("b")], HOW, [line("law")])
    ((figure, axes),) = figures
    assert axes.get_xscale() == "log"
    assert axes.lines[0].get_ydata().tolist() == pytest.approx([10, 20, 30])
    assert len(axes.collections) == 3
    assert legend(figure) == ["a", "b", "law"]
    assert [tick.get_text() for tick in axes.get_xticklabels()][1:-1] == ["1 M", "10 M", "100 M"]


def test_the_lm_alone_is_flat_and_one_line_if_all_share_it(figures):
    lines_chart([line("a", 0.1), line("b", 0.1)], HOW)
    lines_chart([line("a", 0.1), line("b", 0.2), line("c")], HOW)
    (one, _), (two, axes) = figures
    assert legend(one) == ["a", "b", "LM alone"]
    assert legend(two) == ["a", "b", "c", "LM alone, in each one's colour"]
    flat = [found for found in axes.lines if len(set(found.get_ydata())) == 1 and len(found.get_ydata())]
    assert [found.get_ydata()[0] for found in flat] == [10, 20]
    assert [found.get_color() for found in flat] == [axes.lines[at].get_color() for at in (0, 1)]


def test_a_front_is_stepped_and_its_ways_are_filled(figures):
    y = np.array([0.3, 0.1, 0.2])
    front_chart([Dots("with passages", X[::-1], y, y - 0.1, y + 0.1, np.array([True, False, True]))], HOW)
    ((figure, axes),) = figures
    stepped = [found for found in axes.lines if found.get_drawstyle() == "steps-post"]
    assert stepped[0].get_xdata().tolist() == [1e6, 1e8]
    assert legend(figure) == ["with passages"]


def test_differences_stand_below_each_other_around_0(figures):
    bars_chart(["a", "b"], np.array([[-0.1, -0.2, 0.0], [0.1, 0.0, 0.2]]), HOW)
    ((_, axes),) = figures
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b"]
    assert axes.get_xlim()[0] < 0 < axes.get_xlim()[1]


def test_pairs_lie_around_the_diagonal(figures):
    scatter_chart(np.array([0.1, 0.2]), np.array([0.1, 0.3]), "success", HOW)
    ((_, axes),) = figures
    assert axes.lines[-1].get_xdata().tolist() == [10, 20]


@pytest.mark.parametrize(
    ("value", "unit", "said"), [(1e7, "", "10 M"), (2e9, "B", "2 GB"), (1e21, "", "1e21")]
)
def test_sizes_along_x_are_words_or_powers(value, unit, said):
    assert charts._tick(value, unit) == said
