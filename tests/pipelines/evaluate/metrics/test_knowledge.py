import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.evaluate.intervals import difference
from pipelines.evaluate.metrics.knowledge import FATES, split

_ANSWERED = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30)


def test_a_question_is_gained_kept_lost_or_never_answered():
    found = split([False, True, True, False], [True, True, False, False])
    assert found.fates == ("gained", "kept", "lost", "never")
    assert found.known.tolist() == [False, True, True, False]


@given(_ANSWERED)
def test_shares_add_up_and_what_is_gained_less_what_is_lost_is_the_difference(answered):
    alone, beside = (np.array(one, float) for one in zip(*answered, strict=True))
    shares = split(alone, beside).shares()
    assert sum(shares[fate].value for fate in FATES) == pytest.approx(1)
    gain = difference(beside, alone).value
    assert shares["gained"].value - shares["lost"].value == pytest.approx(gain)
    assert shares["kept"].value + shares["lost"].value == pytest.approx(alone.mean())


def test_some_of_the_questions_keep_their_clusters():
    clusters = np.array([0, 0, 1, 2])
    known = split([True, True, True, False], [True, False, True, True], clusters)
    some = known.of(known.known)
    assert some.fates == ("kept", "lost", "kept")
    assert some.clusters is not None
    assert some.clusters.tolist() == [0, 0, 1]
    assert some.shares()["kept"].n == 3
