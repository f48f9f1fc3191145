import pytest

from pipelines.evaluate.curve import Basis, Curve, Point, StoreShare, as_columns
from pipelines.evaluate.curve_study import Study
from pipelines.evaluate.intervals import Score
from pipelines.evaluate.metrics import CONTAINMENT, READER, SUCCESS

BASIS = Basis("hash", "encoder", "dense")


def test_a_table_file_has_a_row_a_point_and_a_column_for_all_it_depends_on():
    points = [Point(SUCCESS, k, StoreShare(0.1, 3, 100), Score(0.5, 0.4, 0.6, 40), 2, BASIS) for k in (1, 5)]
    columns = as_columns(points)
    assert list(columns) == [
        *("metric", "k", "fraction", "seeds", "passages", "value", "low", "high", "n", "short"),
        *(
            "manifest",
            "encoder",
            "method",
            "reader",
            "quantization",
            "adapter",
            "reader_bytes",
            "conditioning",
        ),
    ]
    assert columns["metric"] == ["success", "success"]
    assert columns["k"] == [1, 5]
    assert columns["reader_bytes"] == [0, 0]


def test_rows_for_people_leave_out_what_was_not_measured(tmp_path):
    score = Score(0.5, 0.4, 0.6, 40)
    points = (
        Point(SUCCESS, 5, StoreShare(1.0, 1, 1000), score, 0, BASIS),
        Point(READER[0], 0, StoreShare(0.0, 1, 0), score, 0, BASIS),
    )
    curve = Curve(Study(tmp_path, tmp_path, tmp_path), points, 40)
    assert curve.columns() == ["fraction", "passages", "success@5", "reader exact match"]
    assert curve.rows_for_people() == [
        ["LM alone", "0", "", "50.0 [40.0, 60.0]"],
        ["1", "1,000", "50.0 [40.0, 60.0]", ""],
    ]


def test_the_questions_of_each_metric_are_counted_apart(tmp_path):
    whole, alone = StoreShare(1.0, 1, 1000), StoreShare(0.0, 1, 0)

    def of(n):
        return Score(0.5, 0.4, 0.6, n)

    points = [Point(SUCCESS, k, whole, of(1234), 0, BASIS) for k in (1, 5)]
    points += [Point(CONTAINMENT, k, whole, of(1300), 0, BASIS) for k in (1, 5)]
    points += [Point(metric, 3, share, of(100), 0, BASIS) for metric in READER for share in (alone, whole)]
    curve = Curve(Study(tmp_path, tmp_path, tmp_path), tuple(points), 1400)
    assert curve.questions() == (
        "1,400 questions: 1,234 with gold_docs for success@k, 1,300 with answers for containment@k, "
        "100 with answers for the reader"
    )


@pytest.mark.parametrize(("n", "said"), [(4, True), (29, True), (30, False)])
def test_few_questions_are_said_of_the_metrics_that_have_few(tmp_path, n, said):
    share = StoreShare(1.0, 1, 1000)
    points = [Point(SUCCESS, k, share, Score(1.0, 1.0, 1.0, n), 0, BASIS) for k in (1, 5)]
    points += [Point(CONTAINMENT, 1, share, Score(0.5, 0.4, 0.6, 40), 0, BASIS)]
    sentence = "few questions: n below 30 for success@k, whose intervals look surer than they are"
    assert Curve(Study(tmp_path, tmp_path, tmp_path), tuple(points), 40).few() == (sentence if said else None)


@pytest.mark.parametrize("k", [0, 3])
def test_a_reader_has_one_column_however_many_passages_it_saw(k):
    assert (
        Point(READER[0], k, StoreShare(1.0, 1, 9), Score(0, 0, 0, 1), 0, BASIS).heading
        == "reader exact match"
    )
