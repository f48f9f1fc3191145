import json
from dataclasses import MISSING, fields
from inspect import signature

import pytest

from pipelines.cli import spread
from pipelines.commands.evaluating.retrieval import retrieval
from pipelines.evaluate.methods import RetrievalStudy
from tests.corpus import questions, write_lines


def test_ways_of_searching_from_the_command_line(tmp_path, store, ralm):
    asked = write_lines(tmp_path / "q.jsonl", questions())
    command = ("eval", "retrieval", store, "--questions", asked, "--methods", "bm25, dense")
    code, out, err = ralm(*command, "--metrics", "success,MRR")
    assert code == 0
    assert "search  done in" in err
    lines = [line.split() for line in out.splitlines()]
    assert lines[1][-2:] == ["bm25", "dense"]
    assert [line[0] for line in lines[2:6]] == ["success@1", "success@5", "success@20", "MRR@10"]
    assert "success@1 - bm25" in out
    code, out, _ = ralm(*command, "--limit", 3, "--json", "--fraction", 0.5)
    found = json.loads(out)
    assert (code, found["questions"], found["view"]["fraction"]) == (0, 3, 0.5)
    figure = found["ways"]["dense"]["figures"]["recall@5"]
    assert figure["n"] == 3
    assert 0 <= figure["low"] <= figure["value"] <= figure["high"] <= 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--questions", "{tmp}/none"], "no question file"),
        (["--questions", "x", "--methods", "words"], "valid are hybrid, dense, exact, bm25"),
        (["--questions", "x", "--metrics", "hits"], "valid are success, recall, MRR"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(refusal, arguments, sentence):
    assert sentence in refusal("eval", "retrieval", "{store}", *arguments)


def test_what_is_left_out_is_what_a_study_has_by_itself():
    options = {name: one.default for name, one in signature(spread(retrieval)).parameters.items()}
    settings = {one.name: one.default for one in fields(RetrievalStudy) if one.default is not MISSING}
    for name in ("limit", "encoder", "query_encoder"):
        assert options[name] == settings[name]
