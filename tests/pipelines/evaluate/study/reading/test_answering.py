"""A reader's work as tasks: whoever carries them out, the answers are the same."""

from dataclasses import replace

import pytest

from datastore.files.layout import Layout
from lm.backends.reader_choice import ReaderChoice
from lm.prompts import Prompt
from lm.reader import Sampling
from pipelines.evaluate.study.reading import answering
from pipelines.evaluate.study.reading.answering import AnswerStage, answered, opened
from pipelines.evaluate.study.reading.exchange import Demand, write_lines
from pipelines.execution.executor import LocalExecutor, open_executor
from pipelines.execution.job import Job
from pipelines.execution.progress import Silent
from tests.lm.models import tiny_model

DEMANDS = [Demand(Prompt(text=f"Question {n}? Answer:"), ("one", "another")[: n % 3]) for n in range(20)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return ReaderChoice(str(tiny_model(tmp_path_factory.mktemp("tiny") / "chat")), "none")


def stage(folder, choice):
    write_lines(folder / "demands.jsonl", (one.to_json() for one in DEMANDS))
    return AnswerStage(
        Layout(folder), choice, folder / "demands.jsonl", len(DEMANDS), Sampling(6, stop=("\n",)), 4
    )


def test_tasks_leave_what_the_reader_answers(tmp_path, tiny, monkeypatch):
    monkeypatch.setattr(answering, "TASK", 8)
    made = stage(tmp_path, tiny)
    assert made.sizes() == [8, 8, 4]
    Job(made.layout, LocalExecutor(), Silent()).perform(made)
    found = made.answers()
    assert [one.key for one in found] == [one.key for one in DEMANDS]
    assert [one.bits is None for one in found] == [not one.answers for one in DEMANDS]
    assert found == answered(opened(tiny), DEMANDS, made.sampling, 4)


def test_bits_are_those_of_the_likeliest_answer(tiny):
    sampling = Sampling(2)
    prompt = DEMANDS[0].asked
    each = [answered(opened(tiny), [Demand(prompt, (one,))], sampling, 1)[0].bits for one in ("one", "two")]
    both = answered(opened(tiny), [Demand(prompt, ("one", "two"))], sampling, 1)[0].bits
    assert both == pytest.approx(min(each))


@pytest.mark.long
@pytest.mark.usefixtures("ray_cluster")
def test_tasks_of_ray_answer_the_same(tmp_path, tiny):
    here, there = stage(tmp_path / "here", tiny), stage(tmp_path / "there", tiny)
    Job(here.layout, LocalExecutor(), Silent()).perform(here)
    with open_executor("ray", 2) as executor:
        Job(there.layout, executor, Silent()).perform(there)
    assert [replace(one, joules=None) for one in there.answers()] == here.answers()
