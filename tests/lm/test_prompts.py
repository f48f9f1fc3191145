import pytest

from base.errors import RalmError
from lm.prompts import Ensemble, Message, Prompt, prompts_of

ONE = Prompt.of([Message("user", "Why?")])


def test_an_ensemble_is_its_prompts_and_a_prompt_is_one():
    assert prompts_of(ONE) == (ONE,)
    assert prompts_of(Ensemble((ONE, ONE), (0.25, 0.75))) == (ONE, ONE)


@pytest.mark.parametrize("weights", [(), (1.0,), (0.5, 0.6), (0.0, 1.0), (-1.0, 2.0)])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(RalmError, match="ensemble"):
        Ensemble((ONE, ONE), weights)
