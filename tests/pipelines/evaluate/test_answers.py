import dataclasses
from dataclasses import replace

import orjson

from datastore.view import View
from lm.backends.reader_choice import ReaderChoice
from lm.backends.weights import DEFAULT_READER
from lm.conditioning import Conditioning
from lm.prompts import Prompt
from lm.reader import Completion
from pipelines.evaluate.answers import Reading, answer_once, reader_replies, trimmed
from pipelines.evaluate.curve_study import Study
from pipelines.evaluate.metrics import ReaderMetric
from pipelines.evaluate.samples import Sample, Searched
from pipelines.evaluate.scaling import run
from pipelines.execution.progress import Silent
from pipelines.questions import read_questions
from retriever.local import LocalRetriever
from tests.corpus import long_documents, questions, write_lines
from tests.vectors import dense


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
    """Counts what it is asked, and says it louder."""

    name, context_tokens = "counting", 4096

    def __init__(self):
        self.asked = []

    def count_tokens(self, text):
        return len(text.split())

    def prompt_tokens(self, prompt):
        return self.count_tokens(prompt.text)

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


def test_a_study_reads_each_sample_as_its_conditioning_says(tmp_path, long_store):
    """Chunks around a hit are those of the sample: a smaller store would hold no others."""
    path = write_lines(tmp_path / "q.jsonl", questions()[:2])
    how = Conditioning(passages=1, neighbours=3, prompt="few-shot")
    study = Study(store=long_store, questions=path, output=tmp_path, conditioning=how)
    reading = Reading(Counting(), LocalRetriever.open(long_store))
    whole, part = View(), View(0.5, 1)
    samples = []
    for view in (whole, part):
        rankings = reading.retriever.search([q["question"] for q in questions()[:2]], dense(1, view))
        read = read_questions(path).questions
        samples.append(Sample(view, 1, tuple(map(Searched, read, rankings))))
    replies = reader_replies(study, samples, reading, Silent())
    assert [reply.sample.fraction for reply in replies] == [0.0, 0.0, 1.0, 1.0, 0.5, 0.5]
    for reply, searched in zip(replies[2:], [*samples[0].searched, *samples[1].searched], strict=True):
        (hit,) = searched.ranking.hits
        assert reply.sample.view is not None
        stretch = reading.retriever.around(hit, 3, reply.sample.view)
        whole_text = {one["id"]: one["text"] for one in long_documents()}[hit.passage.doc_id]
        lay = whole_text[stretch[0].start : stretch[-1].start + len(stretch[-1].text)]
        read = f"[1] {hit.passage.metadata['title']}: {lay}\n\nQuestion: {reply.question.text}"
        assert read.upper() in reply.text
    assert any(len(one.text) > len(two.text) for one, two in zip(replies[2:4], replies[4:], strict=True))
    assert trimmed(replies) == []
    assert trimmed([*replies, replace(replies[0], trimmed=2)]) == [
        "in 1 of 7 answers passages were cut or left out, as they had no room"
    ]


def test_a_reader_is_scored_with_the_store_and_alone(tmp_path, store):
    path = write_lines(tmp_path / "q.jsonl", questions())
    study = Study(store=store, questions=path, output=tmp_path / "out", fractions=(0.2, 1.0), seeds=1)
    curve = run(dataclasses.replace(study, reader=ReaderChoice(), reader_questions=4))
    points = {
        (p.metric.name, p.share.fraction): p for p in curve.points if isinstance(p.metric, ReaderMetric)
    }
    assert {fraction for _, fraction in points} == {0.0, 0.2, 1.0}
    found = points["reader containment", 1.0]
    assert found.score.value > points["reader containment", 0.0].score.value
    assert (found.score.n, found.basis.reader, found.basis.quantization) == (4, DEFAULT_READER, "int8")
    assert found.basis.reader_bytes > 1e8
    lines = [orjson.loads(line) for line in (study.output / "answers.jsonl").read_bytes().splitlines()]
    assert len(lines) == 12
    assert "LM alone" in (study.output / "report.md").read_text()
