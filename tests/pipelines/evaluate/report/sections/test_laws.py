import numpy as np
import pytest

from pipelines.evaluate.report.sections.laws import joint_points, laws
from tests.pipelines.evaluate.report.sections.conftest import TRAINED
from tests.pipelines.evaluate.simulated import BETA, Simulated


@pytest.fixture(scope="module")
def section(study):
    return laws(study)


def test_a_line_has_its_law_and_the_largest_point_predicted(section):
    texts = next(table for table in section.tables if table.caption.startswith("texts, bits per byte, n"))
    assert len(texts.rows) == 6
    for row in texts.rows:
        low, high = (float(one) for one in row[1].split("[")[1].rstrip("]").split(", "))
        assert low - 0.02 <= BETA <= high + 0.02
        assert float(row[4]) > 0.99
    assert all(claim.startswith(("texts", "trivia")) for claim in section.claims)
    assert any("1.0 decades beyond the others" in claim for claim in section.claims)


def test_three_sizes_of_readers_have_a_joint_law(study, section):
    joint = [table for table in section.tables if "N^-alpha" in table.caption]
    assert len(joint) == 2
    assert [row[0] for row in joint[0].rows] == ["parameters", "bytes"]
    texts = next(panel for panel in study.chief if panel.task == "texts")
    points, spots = joint_points(texts, "reader_parameters")
    assert points.shape == (12, 2)
    assert {texts.spots[at].cell.quantization for at in spots} == {"nf4"}
    of_bytes, _ = joint_points(texts, "reader_bytes")
    assert of_bytes.shape == (24, 2)
    assert (points[:, 1] == texts.sizes(spots)).all()
    assert len(np.unique(points[:, 0])) == 3


def test_one_reader_has_none_and_three_sizes_no_law(study, searched):
    assert not [table for table in laws(searched).tables if "alpha" in table.caption]
    few = Simulated(fractions=(0.01, 0.1, 1.0), questions=30, retrieval=False).tables()
    absent = laws(type(study)(few, TRAINED, study.folder)).absent
    assert absent == "No line has 4 sizes of the datastore: a law's three numbers fit any three points."


def test_of_one_question_there_is_no_law(study):
    alone = Simulated(questions=1, seeds=1, retrieval=False).tables()
    absent = laws(type(study)(alone, TRAINED, study.folder)).absent
    assert absent == "No two questions are independent: nothing says how far a law may be trusted."
