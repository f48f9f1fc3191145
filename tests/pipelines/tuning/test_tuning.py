import json

import pytest

from base.errors import RalmError
from lm.backends.reader_choice import ReaderChoice
from lm.backends.registry import open_reader
from lm.conditioning import conversation
from lm.reader import Sampling
from lm.tuning.training import Recipe
from pipelines.execution.progress import Silent
from pipelines.tuning.collecting import Corpus
from pipelines.tuning.held_out import HeldOut
from pipelines.tuning.tuning import Lessons, learn, prepare
from retriever.local import LocalRetriever
from retriever.request import Method
from tests.corpus import questions, write_lines


@pytest.fixture
def prepared(store, tmp_path):
    corpus = Corpus(LocalRetriever.open(store), Method(), HeldOut())
    path = write_lines(tmp_path / "q.jsonl", questions()[:2])
    prepare(corpus, Lessons((path,)), tmp_path / "out", Silent())
    return tmp_path / "out"


def test_lessons_are_learnt_into_an_adapter_that_its_reader_takes(prepared, monkeypatch):
    recipe = Recipe(rank=2, alpha=4, rows=1, width=700, epochs=0.4, rate=1e-3)
    found = learn(ReaderChoice(), recipe, prepared, Silent())
    made_of = json.loads((prepared / "made_of.json").read_text())
    assert made_of["reader"] == found.reader
    assert sum(made_of["kinds"].values()) == found.lessons
    assert f"{found.lessons:,} lessons" in (prepared / "README.md").read_text()
    tuned = open_reader(ReaderChoice(found.reader, "none", str(prepared)))
    (completion,) = tuned.generate([conversation("Where?", ["[1] Here."])], Sampling(2))
    assert completion.tokens


def test_questions_that_teach_nothing_are_a_sentence(store, tmp_path):
    corpus = Corpus(LocalRetriever.open(store), Method(), HeldOut(("q",)))
    path = write_lines(tmp_path / "q.jsonl", questions())
    with pytest.raises(RalmError, match="Nothing can be learnt"):
        prepare(corpus, Lessons((path,)), tmp_path / "out", Silent())
