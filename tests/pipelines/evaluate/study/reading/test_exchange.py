"""Prompts and answers go through files as they are, and equal ones have one name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from lm.prompts import Ensemble, Message, Prompt
from pipelines.evaluate.study.reading.exchange import (
    Answered,
    Demand,
    answers_of,
    lines_of,
    read_lines,
    write_lines,
)

TURNS = st.tuples(st.builds(Message, st.sampled_from(["system", "user"]), st.text(max_size=5)))
PROMPTS = st.builds(Prompt, TURNS, st.text(max_size=5), st.integers(0, 3))
ENSEMBLES = st.builds(lambda one, other: Ensemble((one, other), (0.25, 0.75)), PROMPTS, PROMPTS)
DEMANDS = st.builds(Demand, PROMPTS | ENSEMBLES, st.tuples(st.text(max_size=3)))


@given(DEMANDS, DEMANDS)
def test_a_demand_is_written_and_read_and_named_by_what_it_is(one, other):
    assert Demand.of(one.to_json()) == one
    assert (one.key == other.key) == (one == other)


@pytest.mark.parametrize("name", ["answers.jsonl", "answers.jsonl.gz"])
def test_answers_are_read_as_they_were_written(tmp_path, name):
    answers = [Answered("a", "text\n", 3, 1, 2.5, None), Answered("b", "", 3, 0)]
    write_lines(tmp_path / name, lines_of(answers))
    assert list(answers_of(read_lines(tmp_path / name))) == answers
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-9])
    with pytest.raises(RalmError, match=r"answers\.jsonl.* cannot be read .*made anew"):
        list(read_lines(tmp_path / name))
