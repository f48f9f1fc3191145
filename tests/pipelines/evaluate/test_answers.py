import dataclasses

import orjson

from lm.backends.reader_choice import ReaderChoice
from lm.backends.weights import DEFAULT_READER
from lm.prompts import Prompt
from lm.reader import Completion
from pipelines.evaluate.answers import answer_once
from pipelines.evaluate.metrics import ReaderMetric
from pipelines.evaluate.scaling import run
from pipelines.evaluate.study import Study
from pipelines.execution.progress import Silent
from tests.corpus import questions, write_lines


class Told(Silent):
    """Progress that remembers what it was told."""

    def __init__(self):
        self.heard = []

    def start(self, *what):
        self.heard.append(what)

    def advance(self, units):
        self.heard.append(units)

    def finish(self):
        self.heard.append("finished")


class Counting:
    """Counts what it is asked."""

    def __init__(self):
        self.asked = []

    def generate(self, prompts, sampling):
        self.asked += prompts
        return [Completion(prompt.text.upper(), 1, 1, True) for prompt in prompts]


def test_the_same_prompt_is_answered_once():
    reader = Counting()
    told = Told()
    prompts = [Prompt(text=text) for text in ("b", "a", "b", "ccc", "a")]
    found = answer_once(reader, prompts, told)
    assert {prompt.text: text for prompt, text in found.items()} == {"a": "A", "b": "B", "ccc": "CCC"}
    assert told.heard == [("answer", "prompts", 3, 0), 3, "finished"]
    assert sorted(prompt.text for prompt in reader.asked) == ["a", "b", "ccc"]


def test_a_reader_is_scored_with_the_store_and_alone(tmp_path, store):
    path = write_lines(tmp_path / "q.jsonl", questions())
    study = Study(store=store, questions=path, output=tmp_path / "out", fractions=(0.2, 1.0), seeds=1)
    curve = run(dataclasses.replace(study, reader=ReaderChoice(), reader_questions=6))
    points = {
        (p.metric.name, p.share.fraction): p for p in curve.points if isinstance(p.metric, ReaderMetric)
    }
    assert {fraction for _, fraction in points} == {0.0, 0.2, 1.0}
    found = points["reader containment", 1.0]
    assert found.score.value > points["reader containment", 0.0].score.value
    assert (found.score.n, found.basis.reader, found.basis.quantization) == (6, DEFAULT_READER, "int8")
    assert found.basis.reader_bytes > 1e8
    lines = [orjson.loads(line) for line in (study.output / "answers.jsonl").read_bytes().splitlines()]
    assert len(lines) == 18
    assert "LM alone" in (study.output / "report.md").read_text()
