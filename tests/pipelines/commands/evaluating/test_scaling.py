import re
from dataclasses import MISSING, fields
from inspect import signature

import pytest

from pipelines.cli import spread
from pipelines.commands.evaluating.scaling import scaling
from pipelines.commands.options import Prompting
from pipelines.evaluate.curve_study import Study
from tests.corpus import questions, write_lines


def test_a_curve_from_the_command_line(tmp_path, store, ralm, monkeypatch):
    monkeypatch.setattr("pipelines.evaluate.samples._TOGETHER", 5)
    monkeypatch.setattr("pipelines.execution.progress._LINE_SECONDS", 0.0)
    asked = write_lines(tmp_path / "q.jsonl", questions())
    code, out, err = ralm(
        "eval",
        "scaling",
        store,
        "--questions",
        asked,
        "-o",
        tmp_path / "out",
        "--fractions",
        "0.5,1",
        "--seeds",
        1,
    )
    assert code == 0
    # A line for each part as it begins, goes on and ends.
    assert re.search(r"search  8 questions\n +search  5 questions of 8 questions, .* left\n", err)
    assert "search  done in" in err
    assert "embeddings alone (dense)" in err
    assert out.split()[:5] == ["Scaling", "fraction", "passages", "success", "@1"]
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"results.parquet", "report.md", "scaling.png"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["eval", "scaling", "{store}", "--questions", "{tmp}/none", "-o", "{tmp}/o"], "no question file"),
        (
            ["eval", "scaling", "{store}", "--questions", "x", "-o", "y", "--fractions", "a"],
            "list of numbers",
        ),
        (
            ["eval", "scaling", "{store}", "--questions", "x", "-o", "y", "--fractions", "2"],
            "fraction must be",
        ),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(refusal, arguments, sentence):
    assert sentence in refusal(*arguments)


def test_what_is_left_out_is_what_a_study_has_by_itself():
    options = {name: one.default for name, one in signature(spread(scaling)).parameters.items()}
    settings = {one.name: one.default for one in fields(Study) if one.name in options}
    assert settings.pop("conditioning") == Prompting().of(options["passages"])
    assert options["fractions"] == ",".join(f"{share:g}" for share in settings.pop("fractions"))
    assert options["method"] == settings.pop("method").name
    assert {name: options[name] for name in settings if settings[name] is not MISSING} == {
        name: default for name, default in settings.items() if default is not MISSING
    }
