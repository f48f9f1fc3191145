import pytest

from lm.abstention import abstains
from lm.citations import Citer
from lm.conditioning.shots import DO_NOT_KNOW, SHOTS, Shot


@pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.question)
def test_an_example_does_what_it_is_to_teach(shot):
    passages = [f"[{n}] {one.title}: {one.text}" for n, one in enumerate(shot.passages, 1)]
    answer = Citer(passages).cite(shot.answer)
    if shot.answer == DO_NOT_KNOW:
        assert answer == DO_NOT_KNOW
    else:
        # The best passage stands first, and tells.
        assert answer == f"{shot.answer} [1]"


def test_both_manners_of_answering_are_shown():
    assert {abstains(shot.answer) for shot in SHOTS} == {True, False}
    assert abstains(DO_NOT_KNOW)
    assert Shot("Who?", "Ann.").passages == ()
