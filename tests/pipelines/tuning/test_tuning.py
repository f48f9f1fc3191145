import json

import pytest

from base.errors import RalmError
from lm.backends.reader_choice import ReaderChoice
from lm.backends.registry import open_reader
from lm.conditioning import conversation
from lm.reader import Sampling
from lm.tuning.example import read_examples, write_examples
from lm.tuning.training import Recipe
from pipelines.execution.progress import Silent
from pipelines.tuning import tuning
from pipelines.tuning.collecting import Corpus, Wanted
from pipelines.tuning.held_out import HeldOut
from pipelines.tuning.tuning import learn, prepare
from retriever.local import LocalRetriever
from retriever.request import Method
from tests.corpus import questions, write_lines


@pytest.fixture
def prepared(store, tmp_path):
    corpus = Corpus(LocalRetriever.open(store), Method(), HeldOut())
    path = write_lines(tmp_path / "q.jsonl", questions()[:2])
    prepare(corpus, Wanted((path,)), tmp_path / "out", Silent())
    return tmp_path / "out"


def test_lessons_are_learnt_into_an_adapter_that_its_reader_takes(prepared, monkeypatch):
    recipe = Recipe(rank=2, alpha=4, rows=1, width=700, epochs=0.4, rate=1e-3)
    found = learn(ReaderChoice(), recipe, prepared, Silent())
    made_of = json.loads((prepared / "made_of.json").read_text())
    assert made_of["reader"] == found.reader
    assert sum(made_of["kinds"].values()) == found.lessons
    assert f"{found.lessons - found.left_out:,} lesson" in (prepared / "README.md").read_text()
    tuned = open_reader(ReaderChoice(found.reader, "none", str(prepared)))
    (completion,) = tuned.generate([conversation("Where?", ["[1] Here."])], Sampling(2))
    assert completion.tokens


def test_a_reader_is_asked_once_what_it_knows_and_anew_of_other_lessons(prepared, monkeypatch):
    asked = []

    def known(examples, reader, progress):
        asked.append((reader, len(examples)))
        return examples

    monkeypatch.setattr(tuning, "as_taught", lambda choice: choice)
    monkeypatch.setattr(tuning, "open_reader", lambda choice: choice.name)
    monkeypatch.setattr(tuning, "with_what_is_known", known)
    monkeypatch.setattr(tuning, "tune", lambda choice, examples, *rest: len(examples))
    count = learn(ReaderChoice("one"), Recipe(), prepared, Silent())
    assert learn(ReaderChoice("one"), Recipe(), prepared, Silent()) == count
    assert learn(ReaderChoice("other"), Recipe(), prepared, Silent()) == count
    lessons = read_examples(prepared / tuning.EXAMPLES)
    write_examples(prepared / tuning.EXAMPLES, lessons[1:])
    assert learn(ReaderChoice("one"), Recipe(), prepared, Silent()) == count - 1
    assert asked == [("one", count), ("other", count), ("one", count - 1)]


def test_questions_that_teach_nothing_are_a_sentence(store, tmp_path):
    corpus = Corpus(LocalRetriever.open(store), Method(), HeldOut(("q",)))
    path = write_lines(tmp_path / "q.jsonl", questions())
    with pytest.raises(RalmError, match="Nothing can be learnt"):
        prepare(corpus, Wanted((path,)), tmp_path / "out", Silent())
