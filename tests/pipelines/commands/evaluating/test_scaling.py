import re
from inspect import signature

import pytest
import yaml

from pipelines.cli import spread
from pipelines.commands.evaluating.scaling import scaling
from pipelines.commands.options import Loading, Prompting, QueryEncoding
from pipelines.evaluate.study.settings import Study
from pipelines.evaluate.tables import Tables
from tests.corpus import questions, write_lines


@pytest.fixture
def unreported(monkeypatch):
    """No report is drawn, which takes longest."""
    monkeypatch.setattr("pipelines.evaluate.report.write_report", lambda folder: [])


def test_a_curve_from_the_command_line(tmp_path, store, ralm, monkeypatch):
    monkeypatch.setattr("pipelines.evaluate.study.finding.searching._TOGETHER", 5)
    monkeypatch.setattr("pipelines.execution.progress._LINE_SECONDS", 0.0)
    asked = write_lines(tmp_path / "q.jsonl", questions())
    out = tmp_path / "out"
    arguments = ("--questions", asked, "-o", out, "--fractions", "0.5,1", "--seeds", 1)
    code, said, err = ralm("eval", "scaling", store, *arguments)
    assert code == 0
    # A line for each part as it begins, goes on and ends.
    assert re.search(r"search  8 questions\n +search  5 questions of 8 questions, .* left\n", err)
    assert "search  done in" in err
    assert said.split()[:2] == ["q:", "dense"]
    assert {"results.parquet", "questions.parquet", "study.yaml", "report.html", "report.md"} <= {
        path.name for path in out.iterdir()
    }
    (out / "report.md").unlink()
    code, said, _ = ralm("eval", "report", out)
    assert code == 0
    assert "report.md" in said
    assert (out / "report.md").exists()


@pytest.mark.usefixtures("unreported")
def test_a_study_from_its_file_is_that_of_the_flags(tmp_path, store, ralm):
    write_lines(tmp_path / "q.jsonl", questions())
    settings = {"tasks": "q.jsonl", "fractions": [0.5, 1.0], "seeds": 1}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(settings | {"store": "nowhere"}))
    code, _, _ = ralm("eval", "scaling", store, "--config", tmp_path / "study.yaml", "-o", tmp_path / "one")
    assert code == 0
    flags = ("--questions", tmp_path / "q.jsonl", "--fractions", "0.5,1", "--seeds", 1)
    code, _, _ = ralm("eval", "scaling", store, *flags, "-o", tmp_path / "two")
    assert code == 0
    one, two = Tables.read(tmp_path / "one"), Tables.read(tmp_path / "two")
    assert one.study == two.study
    assert one.results == two.results


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{store}", "--questions", "{tmp}/none", "-o", "{tmp}/o"], "no question file"),
        (["{store}", "--questions", "x", "-o", "y", "--fractions", "a"], "list of numbers"),
        (["{store}", "--questions", "x", "-o", "y", "--fractions", "2"], "fraction must be"),
        (["{store}", "--questions", "x", "-o", "y", "--method", "dens"], "Unknown method 'dens'"),
        (["{store}", "--questions", "x", "-o", "y", "--executor", "spark"], "Unknown executor 'spark'"),
        (["{store}", "--questions", "x"], "A study needs a STORE, --questions and --output, or a --config"),
        (["{store}", "--questions", "x", "--config", "y"], "sets all of its study: leave --questions out"),
        (["--config", "y", "--fractions", "0.01,0.1,1"], "leave --fractions out, and set it there"),
        (["--config", "y", "-k", "5"], "leave -k out, and set it there"),
        (["--config", "y", "--quantization", "int8"], "leave --quantization out, and set it there"),
        (["--config", "{tmp}/none.yaml"], "There is no study"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_code_2(refusal, arguments, sentence):
    assert sentence in refusal("eval", "scaling", *arguments)


def test_what_is_left_out_is_what_a_study_has_by_itself():
    options = {name: one.default for name, one in signature(spread(scaling)).parameters.items()}
    usual = {name: one.default for name, one in Study.model_fields.items()}
    assert options["fractions"] == ",".join(f"{share:g}" for share in usual["fractions"])
    assert (options["method"],) == usual["methods"]
    assert (options["passages"],) == usual["k"]
    assert (options["conditioning"],) == usual["conditionings"]
    for name in ("seeds", "reader_questions", "budget", "neighbours", "replug_temperature", "prompt"):
        assert options[name] == usual[name]
    records = (Loading(), Prompting(), QueryEncoding())
    assert all(options[name] == getattr(one, name) for one in records for name in one.__dataclass_fields__)
