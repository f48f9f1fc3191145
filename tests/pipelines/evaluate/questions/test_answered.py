import numpy as np
import pytest

from pipelines.evaluate.intervals import difference, mean
from pipelines.evaluate.questions.answered import Answered, Arms

# Of eight questions: gained 2, kept 2, lost 1, never 3; two share a document.
_ALONE = np.array([0, 0, 1, 1, 1, 0, 0, 0], float)
_BESIDE = np.array([1, 1, 1, 1, 0, 0, 0, 0], float)
_BITS = np.arange(8, dtype=float)
_HELD = np.array([1, 1, 1, 1, 0, 0, 0, 0], bool)


def made(held=_HELD) -> Answered:
    arms = (Arms("accuracy", _ALONE, _BESIDE), Arms("bits per answer", _BITS, _BITS - 1, is_share=False))
    return Answered(
        tuple(f"q{at}" for at in range(8)),
        np.array([0, 0, 1, 2, 3, 4, 5, 6]),
        arms,
        "accuracy",
        held,
        {"manifest": "hash"},
    )


def test_every_figure_is_split_by_what_is_known_alone_and_by_what_passages_held():
    found = made()
    groups = found.groups()
    assert list(groups) == [
        *("all", "known alone", "not known alone", "answer in the passages", "answer not in them")
    ]
    assert [mask.sum() for mask in groups.values()] == [8, 3, 5, 4, 4]
    known = found.figures(groups["known alone"])["accuracy"]
    assert known["alone"].value == 1
    assert known["with_passages"].value == pytest.approx(2 / 3)
    assert known["difference"].value == pytest.approx(-1 / 3)
    whole = found.figures(groups["all"])
    assert whole["bits per answer"]["difference"] == difference(_BITS - 1, _BITS, found.clusters)
    assert whole["accuracy"]["with_passages"] == mean(_BESIDE, found.clusters)


def test_all_is_told_by_names():
    told = made().to_json()
    assert (told["questions"], told["clusters"], told["manifest"]) == (8, 7, "hash")
    shares = {fate: one["value"] for fate, one in told["groups"]["all"]["knowledge"].items()}
    assert shares == {"gained": 0.25, "kept": 0.25, "lost": 0.125, "never": 0.375}
    change = told["groups"]["all"]["figures"]["bits per answer"]["difference"]
    assert (change["value"], change["change"]) == (-1, "less")
    line = made().lines()[4]
    assert (line["id"], line["fate"], line["held"], line["alone"]["accuracy"]) == ("q4", "lost", False, 1)


def test_where_nobody_can_tell_what_passages_held_it_is_not_told():
    found = made(held=None)
    assert list(found.groups()) == ["all", "known alone", "not known alone"]
    assert found.lines()[0]["held"] is None
