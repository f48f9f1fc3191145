from types import SimpleNamespace

import pytest
from datasets import Dataset

from base.errors import RalmError
from pipelines.tasks import harness
from pipelines.tasks.asked.openly import named, open_questions
from pipelines.tasks.question_files import with_possible_answers


class Task(SimpleNamespace):
    """A task as lm-eval has them, of documents at hand."""

    def doc_to_target(self, doc):
        return doc["answer"]


def loaded(monkeypatch, **tasks):
    found = harness.Loaded((), tasks, None)
    monkeypatch.setattr(harness, "load", lambda study: found)


def test_tasks_have_the_names_that_people_know():
    assert [named(one) for one in ("nq", "TriviaQA", "PopQA", "MMLU", "MedQA", "nq_open", "arc_easy")] == [
        *("nq_open", "triviaqa", "popqa", "mmlu", "medqa_4options", "nq_open", "arc_easy")
    ]


def test_an_open_task_is_questions_with_all_answers_that_it_accepts(monkeypatch):
    docs = [
        {"question": "Who?", "answer": ["Ansel", " Ansel ", "Mirn"]},
        {"question": "Where?", "answer": "Paris"},
        {"question": "When?", "answer": []},
    ]
    loaded(monkeypatch, nq_open=Task(OUTPUT_TYPE="generate_until", eval_docs=docs))
    found = open_questions("nq_open")
    assert [(one.id, one.text, one.answers) for one in found] == [
        ("nq_open/0", "Who?", ("Ansel", "Mirn")),
        ("nq_open/1", "Where?", ("Paris",)),
    ]
    assert len(open_questions("nq_open", limit=1)) == 1


def test_choices_are_not_open_and_other_kinds_are_refused(monkeypatch):
    loaded(monkeypatch, mmlu=Task(OUTPUT_TYPE="multiple_choice", eval_docs=[]))
    assert open_questions("mmlu") is None
    loaded(monkeypatch, wikitext=Task(OUTPUT_TYPE="loglikelihood_rolling", eval_docs=[]))
    with pytest.raises(RalmError, match=r"wikitext asks neither openly nor by choices \(loglik"):
        open_questions("wikitext")
    loaded(monkeypatch, empty=Task(OUTPUT_TYPE="generate_until", eval_docs=[]))
    with pytest.raises(RalmError, match="no question with an answer"):
        open_questions("empty")


def test_popqas_answers_are_read():
    docs = Dataset.from_list([{"question": "Who?", "possible_answers": '["Ansel", "Mirn"]'}])
    assert with_possible_answers(docs)[0]["answers"] == ["Ansel", "Mirn"]


def test_without_a_hub_a_named_task_is_one_sentence(monkeypatch):
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach the Hub")

    monkeypatch.setattr("datasets.load_dataset", unreachable)
    with pytest.raises(RalmError, match=r"popqa cannot be loaded \(ConnectionError: .*without a hub"):
        open_questions("popqa")
