from pathlib import Path

from lm.tuning.model_card import Tuned
from lm.tuning.training import Recipe
from pipelines.show import tunings
from pipelines.tuning.collecting import Collected


def lines(capsys):
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_lessons_are_counted_by_kind(capsys):
    tunings.collected(Collected((), {"answered": 1200, "unanswered": 3}, 1), Path("lessons[1]"))
    shown = lines(capsys)
    assert "answered 1,200" in shown
    assert "unanswered 3" in shown
    assert shown[-1] == "1 question held out. Lessons: lessons[1]"


def test_what_no_row_could_hold_was_not_learnt(capsys):
    tuned = Tuned("small", "none", Recipe(), {"answered": 10}, 0, 5000, 1)
    tunings.tuned(tuned, Path("mine"))
    assert lines(capsys) == [
        "Learnt 10 lessons, 5,000 tokens, in 1 step.",
        "To read with it: ralm ask STORE QUESTION --adapter mine",
    ]
    tunings.tuned(Tuned("small", "none", Recipe(), {"answered": 10}, 4, 5000, 1), Path("mine"))
    assert lines(capsys)[:2] == [
        "Learnt 6 lessons, 5,000 tokens, in 1 step.",
        "Left out, as they are longer than a row (--width): 4 lessons.",
    ]
