import numpy as np
import pytest

from base.errors import RalmError
from lm.conditioning import Conditioning
from lm.prompts import Prompt
from lm.reader import Completion, Likelihood
from pipelines.evaluate.metrics import contains
from pipelines.evaluate.questions.open import Asking
from pipelines.questions import Question
from retriever.local import LocalRetriever
from retriever.request import Method, Search
from tests.corpus import CITIES

QUESTIONS = [
    Question(f"q{at}", f"Of which province is {city}?", (province,), frozenset({f"{city}-0"}))
    for at, (city, province, *_) in enumerate(CITIES[:4])
]


class Parrot:
    """Says all it is asked, so that it answers what its passages hold; of itself it knows Tessaly."""

    name, quantization, adapter, measured_bytes, context_tokens = "parrot", "none", None, 7, 4096
    scores = True

    def count_tokens(self, text):
        return len(text.split())

    def prompt_tokens(self, prompt):
        return self.count_tokens(self.said(prompt))

    def said(self, prompt: Prompt) -> str:
        return " ".join([*(turn.content for turn in prompt.conversation), prompt.text])

    def generate(self, prompts, sampling):
        return [Completion(self.said(one) + " Tessaly", 1, 1, True) for one in prompts]

    def loglikelihood(self, continuations):
        if not self.scores:
            raise RalmError("This reader cannot score.")
        held = [contains(self.said(one.asked), [one.text]) for one in continuations]
        return [Likelihood((-np.log(2) * (1 if one else 8),), one, 1) for one in held]


@pytest.fixture
def asking(store):
    search = Search(method=Method("bm25"))
    return Asking(LocalRetriever.open(store), Parrot(), search, Conditioning(passages=2))


def values(found, metric):
    arms = next(one for one in found.arms if one.metric == metric)
    return arms.alone.tolist(), arms.beside.tolist()


def test_a_question_is_asked_alone_and_with_what_is_found(asking):
    found = asking.run(QUESTIONS)
    assert values(found, "reader containment") == ([1, 0, 1, 0], [1, 1, 1, 1])
    assert found.knowledge.fates == ("kept", "gained", "kept", "gained")
    assert values(found, "bits per answer") == ([8] * 4, [1] * 4)
    assert found.held.tolist() == [True] * 4
    assert found.basis["manifest"] == asking.retriever.hash
    assert (found.basis["reader"]["bytes"], found.basis["k"], found.basis["method"]) == (7, 2, "bm25")
    assert found.notes == ()


def test_a_reader_that_cannot_score_has_no_bits_and_that_is_said(asking):
    asking.reader.scores = False
    found = asking.run(QUESTIONS[:1])
    assert [one.metric for one in found.arms] == [
        *("reader exact match", "reader containment", "reader F1", "reader abstention")
    ]
    assert found.notes == ("Bits per answer are left out: This reader cannot score.",)


def test_questions_of_one_document_hang_together_and_so_do_those_of_one_best_passage(asking):
    named = [QUESTIONS[0], QUESTIONS[1], Question("again", QUESTIONS[0].text, ("x",), QUESTIONS[0].gold_docs)]
    assert asking.run(named).clusters.tolist() == [0, 1, 0]
    unnamed = [Question(one.id, one.text, one.answers, frozenset()) for one in named]
    assert asking.run(unnamed).clusters.tolist() == [0, 1, 0]


def test_what_has_no_room_or_no_passage_is_counted(asking, store):
    small = Asking(asking.retriever, Parrot(), asking.search, Conditioning(passages=2, budget=25))
    unfound = Question("u", "Xylophone zeppelin?", ("x",), frozenset())
    assert small.run([QUESTIONS[0], unfound]).notes == (
        "1 of 2 questions got no passage: they are asked alone twice.",
        "1 of 2 questions had no room for all passages: some were cut or left out.",
    )
    with pytest.raises(RalmError, match="nothing to compare"):
        Asking(asking.retriever, Parrot(), asking.search, Conditioning(kind="none")).run(QUESTIONS)
