"""The packaged reader: plain where there are no passages, taught to read them where there are."""

import pytest

from lm.backends.reader_choice import ReaderChoice
from lm.backends.transformers_reader import TransformersReader
from lm.backends.weights import DEFAULT_READER, PLAIN_READER
from lm.conditioning import conversation
from lm.reader import Continuation, Sampling

TOWN = "[1] Bralgate: The mayor of Bralgate is chosen by lot. The town lies on the river Venn."
RIVER = "[2] Venn: The Venn is a river of 200 miles."
CHOSEN = "How is the mayor of Bralgate chosen?"


@pytest.fixture(scope="module")
def readers():
    return {name: TransformersReader(ReaderChoice(name, "none")) for name in (DEFAULT_READER, PLAIN_READER)}


def answers(readers, prompt):
    return [reader.generate([prompt], Sampling(24))[0].text for reader in readers.values()]


def test_it_answers_from_passages_briefly(readers):
    tuned, plain = answers(readers, conversation(CHOSEN, [TOWN, RIVER]))
    assert "by lot" in tuned
    assert len(tuned) < len(plain)


def test_it_abstains_where_they_do_not_tell(readers):
    tuned, plain = answers(readers, conversation("Who wrote the opera Carmen?", [TOWN, RIVER]))
    assert tuned == "I do not know."
    assert plain != tuned


def test_without_passages_it_is_the_plain_one(readers):
    prompt = conversation("What is the capital of France?", [])
    tuned, plain = answers(readers, prompt)
    assert tuned == plain
    scored = [one.loglikelihood([Continuation(prompt, "Paris.")])[0] for one in readers.values()]
    assert scored[0] == scored[1]
