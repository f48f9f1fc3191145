"""Seconds by stage."""

import pytest

from lm.reader import Completion, Took
from serve.answering.timings import READING, read, total


def text(took: Took | None) -> Completion:
    return Completion("By lot.", 90, 4, True, took=took)


def test_what_was_waited_for_search_and_reader_is_one_stage():
    found = read({"queue": 1.0, "encode": 0.5}, [text(Took(2.0, 3.0, 4.0)), text(Took(1.0, 3.0, 2.0))], 9.5)
    assert found == {"queue": 3.0, "encode": 0.5, "prefill": 3.0, "decode": 4.0}
    assert total(found, READING) == pytest.approx(7.0)


def test_of_a_server_all_that_is_known_is_how_long_it_took():
    assert read({"encode": 0.5}, [text(None)], 9.5) == {"encode": 0.5, "read": 9.5}
    assert read({}, [], 0.0) == {"read": 0.0}
