import pytest

from base.errors import RalmError
from pipelines.evaluate.perplexity.protocols import FIXED, MASSIVEDS, protocol


def test_the_protocols_are_those_that_are_written_down():
    assert FIXED.pace(8192).window == 1024
    assert FIXED.pace(500).window == 500
    pace = MASSIVEDS.pace(8192)
    assert (pace.window, pace.stride, pace.query, MASSIVEDS.passages) == (1024, 512, 512, 3)
    assert (pace.front, MASSIVEDS.depth) == (8192 - 1024 - 1, 1000)
    assert [(one.method, one.n, one.threshold) for one in MASSIVEDS.rules] == [
        ("overlap", 32, 0.8),
        ("jaccard", 13, 0.8),
        ("containment", 13, 0.8),
    ]


def test_what_is_given_changes_a_protocol_and_an_unknown_one_is_refused():
    assert protocol("massiveds", stride=256, passages=None) != MASSIVEDS
    assert protocol("massiveds", passages=None) == MASSIVEDS
    with pytest.raises(RalmError, match="valid are fixed, massiveds; did you mean fixed"):
        protocol("fixd")
    with pytest.raises(RalmError, match="must be at least 1, not 0"):
        protocol("fixed", passages=0)
    with pytest.raises(RalmError, match="Unknown decontamination"):
        _ = protocol("fixed", decontaminate=("overlapp",)).rules


def test_a_reader_without_room_for_passages_is_refused():
    with pytest.raises(RalmError, match="have no room in the 1,024"):
        MASSIVEDS.pace(1024)
    with pytest.raises(RalmError, match="A window must have 1 to 512"):
        MASSIVEDS.pace(512)
