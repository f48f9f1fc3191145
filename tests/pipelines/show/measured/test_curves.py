from pathlib import Path

import pytest
from rich.console import Console

from pipelines.evaluate.curve import Basis, Curve, Point, StoreShare
from pipelines.evaluate.curve_study import Study
from pipelines.evaluate.intervals import Score
from pipelines.evaluate.metrics import CONTAINMENT, READER, SUCCESS
from pipelines.show.measured.curves import curve

SCORE, BASIS = Score(0.9, 0.85, 0.95, 50), Basis("hash", "given", "dense")


def test_an_interval_stands_under_its_value(capsys):
    study = Study(Path("store"), Path("questions.jsonl"), Path("out"))
    point = Point(SUCCESS, 10, StoreShare(1.0, 1, 40), SCORE, 0, BASIS)
    curve(Curve(study, (point,), 60), Path("[out]"))
    _, heading, values, interval, asked, _ = capsys.readouterr().out.splitlines()
    assert heading.split() == ["fraction", "passages", "success", "@10"]
    assert values.split() == ["1", "40", "90.0"]
    assert interval.split() == ["[85.0–95.0]"]
    assert asked == "60 questions: 50 with gold_docs for success@k"


def test_few_questions_are_said_under_the_table(capsys):
    study = Study(Path("store"), Path("questions.jsonl"), Path("out"))
    point = Point(SUCCESS, 1, StoreShare(1.0, 1, 40), Score(1.0, 1.0, 1.0, 4), 0, BASIS)
    curve(Curve(study, (point,), 5), Path("out"))
    *_, asked, few, _ = capsys.readouterr().out.splitlines()
    assert asked == "5 questions: 4 with gold_docs for success@k"
    assert few == "few questions: n below 30 for success@k, whose intervals look surer than they are"


def test_many_metrics_fit_a_terminal_with_whole_headings(capsys, monkeypatch):
    monkeypatch.setattr("pipelines.show.measured.curves.console", Console(width=80))
    study = Study(Path("store"), Path("questions.jsonl"), Path("out"))
    metrics = [*((CONTAINMENT, k) for k in (1, 5, 20)), *((metric, 0) for metric in READER)]
    rest = StoreShare(1.0, 1, 140_821), SCORE, 0, BASIS
    curve(Curve(study, tuple(Point(metric, k, *rest) for metric, k in metrics), 50), Path("out"))
    out = capsys.readouterr().out
    assert "…" not in out
    *table, _, _ = out.splitlines()
    assert "\n".join(table).count("containment") == 4
    assert max(map(len, table)) <= 80


@pytest.mark.parametrize("width", [80, 120])
def test_more_metrics_than_fit_are_several_tables_with_whole_numbers(capsys, monkeypatch, width):
    monkeypatch.setattr("pipelines.show.measured.curves.console", Console(width=width))
    study = Study(Path("store"), Path("questions.jsonl"), Path("out"))
    metrics = [(metric, k) for metric in (SUCCESS, CONTAINMENT) for k in (1, 5, 20)]
    metrics += [(metric, 3) for metric in READER]
    shares = [StoreShare(fraction, 1, 1_234_567_890) for fraction in (0.01, 1.0)]
    points = tuple(Point(metric, k, share, SCORE, 0, BASIS) for share in shares for metric, k in metrics)
    curve(Curve(study, points, 50), Path("out"))
    *lines, _, _ = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    shown = " ".join(lines).split()
    assert shown.count("90.0") == shown.count("[85.0–95.0]") == len(points)
    assert shown.count("1,234,567,890") == shown.count("fraction") * 2
    assert shown.count("Scaling") == 1


def test_a_curve_says_where_its_table_lies(capsys):
    curve(Curve(Study(Path("store"), Path("q"), Path("out")), (), 0), Path("[out]"))
    assert capsys.readouterr().out.splitlines()[-1].startswith("Table and plot: [out]/results.parquet")
