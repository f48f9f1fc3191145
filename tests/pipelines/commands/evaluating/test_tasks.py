import importlib.util
import json
from dataclasses import MISSING, fields
from inspect import signature

import pytest

from pipelines.commands.evaluating.tasks import tasks
from pipelines.tasks.study import TaskStudy
from tests.corpus import questions, write_lines
from tests.lm.models import tiny_model


def test_tasks_from_the_command_line(tmp_path, store, ralm):
    asked = write_lines(tmp_path / "q.jsonl", questions()[:2])
    model = tiny_model(tmp_path / "model", context=1000)
    options = ("--tasks", "ralm_qa", "--questions", asked, "--reader", model, "--quantization", "none")
    code, out, err = ralm(
        "eval",
        "tasks",
        store,
        *options,
        "-o",
        tmp_path / "out",
        "-k",
        2,
        "--fraction",
        0.5,
        "--against-alone",
    )
    assert code == 0
    assert "search  2 questions" in err
    assert out.split()[:7] == ["Tasks", "task", "metric", "value", "alone", "gain", "[95%]"]
    assert "ralm_qa  containment" in out
    basis = json.loads((tmp_path / "out" / "results.json").read_text())["ralm"]
    assert (basis["k"], basis["view"]["fraction"], basis["method"]["name"]) == (2, 0.5, "hybrid")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--tasks", "ralm_qa", "-k", "-1"], "must not be negative: -1"),
        (["--tasks", ",", "-k", "1"], "no task to ask"),
        (["--tasks", "ralm_qa", "-k", "0", "--against-alone"], "nothing to compare"),
        (["--tasks", "ralm_qa", "--fraction", "2"], "fraction must be"),
        (["--tasks", "ralm_qa", "--query", "question"], "write TASK=FIELD"),
        (["--tasks", "arc_easy", "--quantization", "nf5"], "nf4"),
        (["--tasks", "ralm_qa", "-o", "{corpus}"], "is a file"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(refusal, arguments, sentence):
    where = [] if "-o" in arguments else ["-o", "{tmp}/s"]
    assert sentence in refusal("eval", "tasks", "{store}", *where, *arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--tasks", "arc_easy,ralm_qa"], "ask the questions of a file: name it, --questions"),
        (["--tasks", "arc_easy", "--questions", "{tmp}/none"], "There is no question file"),
    ],
)
def test_questions_are_missed_before_a_reader_is_loaded(refusal, monkeypatch, arguments, sentence):
    monkeypatch.setattr("pipelines.commands.evaluating.tasks.open_reader", lambda choice: 1 / 0)
    assert sentence in refusal("eval", "tasks", "{store}", "-o", "{tmp}/s", *arguments)


def test_without_lm_eval_its_extra_is_named(refusal, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "lm_eval" else find(name, *more)
    )
    said = refusal("eval", "tasks", "{store}", "--tasks", "ralm_qa", "-o", "{tmp}/s")
    assert 'pip install "ralm[eval]"' in said


def test_what_is_left_out_is_what_a_study_has_by_itself():
    options = {name: one.default for name, one in signature(tasks).parameters.items()}
    own = {one.name: one.default for one in fields(TaskStudy) if one.default is not MISSING}
    shared = {name for name in own if name in options and name not in ("seed", "output")}
    assert {name: options[name] for name in shared} == {name: own[name] for name in shared}
    assert shared > {"budget", "fewshot", "limit", "chat", "against_alone"}
