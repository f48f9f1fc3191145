import pyarrow.parquet as pq

from pipelines.evaluate.curve import Basis, Curve, Point, StoreShare
from pipelines.evaluate.curve_files import holds_a_curve, markdown, write
from pipelines.evaluate.curve_study import Study
from pipelines.evaluate.intervals import Score
from pipelines.evaluate.metrics import CONTAINMENT, READER, SUCCESS, ReaderMetric
from tests.corpus import write_lines


def point(metric, k, fraction, value):
    reader = "reader" if isinstance(metric, ReaderMetric) else ""
    share = StoreShare(fraction, 3, int(1000 * fraction))
    score = Score(value, value - 0.05, value + 0.05, 40)
    basis = Basis("hash", "encoder", "dense", reader, "int8", "tuned", 163_000_000)
    return Point(metric, k, share, score, 0, basis)


def curve(tmp_path):
    points = [point(CONTAINMENT, k, f, 0.1 * k * f) for k in (1, 5) for f in (0.1, 1.0)]
    points += [point(READER[1], 3, f, 0.2 + 0.3 * f) for f in (0.0, 0.1, 1.0)]
    return Curve(Study(tmp_path, tmp_path / "questions.jsonl", tmp_path), tuple(points), 60)


def test_the_page_has_a_row_for_each_fraction_and_the_lm_alone(tmp_path):
    text = markdown(curve(tmp_path))
    assert "| LM alone | 0 |  |  | 20.0 [15.0, 25.0] |" in text
    assert "| 1 | 1,000 | 10.0 [5.0, 15.0] | 50.0 [45.0, 55.0] | 50.0 [45.0, 55.0] |" in text
    assert "reader with tuned, int8, 163,000,000 bytes" in text
    of_each = "40 with answers for containment@k, 40 with answers for the reader"
    assert f"- questions: questions.jsonl, 60 questions: {of_each}\n" in text
    assert "few questions" not in text


def test_a_file_of_the_users_own_is_no_earlier_curve_and_is_left(tmp_path):
    own = write_lines(tmp_path / "answers.jsonl", [{"question": "Who?", "answers": ["Ansel Mirn"]}])
    before = own.read_bytes()
    assert not holds_a_curve(tmp_path)
    write(curve(tmp_path), ())
    assert holds_a_curve(tmp_path)
    assert own.read_bytes() == before


def test_gold_documents_among_the_first_k_are_success_at_k_wherever_they_are_named(tmp_path):
    points = tuple(point(SUCCESS, k, 1.0, 0.5) for k in (1, 5))
    found = Curve(Study(tmp_path, tmp_path / "questions.jsonl", tmp_path / "out"), points, 60)
    write(found, ())
    assert "| success@1 | success@5 |" in (tmp_path / "out" / "report.md").read_text()
    table = pq.read_table(tmp_path / "out" / "results.parquet")
    assert table.column("metric").to_pylist() == ["success", "success"]
    assert table.column("k").to_pylist() == [1, 5]
