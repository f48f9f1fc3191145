"""Prompts and answers go through files as they are, and equal ones have one name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from lm.prompts import Ensemble, Message, Prompt
from pipelines.evaluate.study.reading.exchange import (
    Answered,
    Demand,
    lines_of,
    read_answers,
    read_kept,
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
    assert read_answers(tmp_path / name) == answers
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-9])
    with pytest.raises(RalmError, match=r"answers\.jsonl.* cannot be read .*made anew"):
        list(read_lines(tmp_path / name))


def test_a_file_of_answers_begins_with_its_reader(tmp_path):
    path, answers = tmp_path / "answers.jsonl", [Answered("a", "text", 3, 1)]
    write_lines(path, [{"reader": "r"}, *lines_of(answers)])
    assert read_kept(path) == ({"reader": "r"}, answers)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"\(it says nothing of a reader\): remove it"),
        ('{}\n{"key": "a"}\n', r"\(a line is no answer: .*missing.*\): remove it"),
        ('{}\n{"name": "a"}\n', r"\(a line is no answer: .*unexpected.*\): remove it"),
    ],
)
def test_what_holds_no_answers_is_refused(tmp_path, text, sentence):
    (tmp_path / "answers.jsonl").write_text(text)
    with pytest.raises(RalmError, match=rf"answers\.jsonl cannot be read {sentence}"):
        read_kept(tmp_path / "answers.jsonl")


@pytest.mark.parametrize("content", [{}, {"asked": {}, "answers": []}, {"asked": {"weights": []}}, 5])
def test_what_is_no_demand_is_refused(content):
    with pytest.raises(
        RalmError, match=r"^A line is no demand of a reader \(.*\): have its file written anew"
    ):
        Demand.of(content)
