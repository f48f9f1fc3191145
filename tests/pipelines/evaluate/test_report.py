import io

from pipelines.evaluate.report import markdown, plot
from pipelines.evaluate.scaling import Curve, Point, Study


def point(metric, k, fraction, value):
    return Point(
        metric, k, fraction, 3, int(1000 * fraction), value, value - 0.05, value + 0.05, 40, 0,
        "hash", "encoder", "dense", "reader" if metric.startswith("reader") else "", "int8", 163_000_000,
    )  # fmt: skip


def curve(tmp_path):
    points = [point("containment", k, f, 0.1 * k * f) for k in (1, 5) for f in (0.1, 1.0)]
    points += [point("reader containment", 3, f, 0.2 + 0.3 * f) for f in (0.0, 0.1, 1.0)]
    return Curve(Study(tmp_path, tmp_path / "questions.jsonl", tmp_path), tuple(points))


def test_the_page_has_a_row_for_each_fraction_and_the_lm_alone(tmp_path):
    text = markdown(curve(tmp_path))
    assert "| LM alone | 0 |  |  | 20.0 [15.0, 25.0] |" in text
    assert "| 1 | 1,000 | 10.0 [5.0, 15.0] | 50.0 [45.0, 55.0] | 50.0 [45.0, 55.0] |" in text
    assert "reader, int8, 163,000,000 bytes" in text


def test_the_plot_has_a_panel_for_passages_and_one_for_the_reader(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    savefig = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (drawn.append(self), savefig(self, *a, **k))[1]
    )
    plot(curve(tmp_path), io.BytesIO())
    retrieval, reader = drawn[0].axes
    assert [line.get_label() for line in retrieval.lines] == ["containment@1", "containment@5"]
    assert [line.get_label() for line in reader.lines] == ["containment", "containment, LM alone"]
    assert list(reader.lines[1].get_ydata()) == [20.0, 20.0]
