import math
from dataclasses import replace
from functools import partial

import pytest

from base.errors import RalmError
from lm.citations import Citer
from lm.conditioning import Conditioning, Request
from lm.conditioning.wording import WITH_PASSAGES, write
from lm.reader import Continuation, ReaderStopped
from lm.support import support_of

PASSAGES = (
    "[1] People in Dunmarrow have long been known for their blue glass.",
    "[2] The mayor of Bralgate is chosen by lot from all who own a boat.",
)
FIRST, SECOND = "The mayor is chosen by lot.", " People in Dunmarrow are known for blue glass."
asking = partial(write, Conditioning(), Request("How is the mayor of Bralgate chosen?"))


class Other:
    """The real reader, with some of it replaced."""

    def __init__(self, reader, **replaced):
        self._reader = reader
        self.__dict__ |= replaced

    def __getattr__(self, name):
        return getattr(self._reader, name)


def cited(answer):
    citer = Citer(PASSAGES)
    citer.cite(answer)
    return citer


def by_hand(reader, passage, text, before=""):
    """Bits a token that a passage adds to a text, from plain scores of what the answer begins with."""
    bits = []
    for packed in ([passage], [""]):
        prompt = replace(asking(packed), text=before)
        (scored,) = reader.loglikelihood([Continuation(prompt, text)])
        bits.append(scored.total / math.log(2) / len(scored.tokens))
    return bits[0] - bits[1]


def test_each_sentence_gains_what_it_does_by_hand(plain_reader):
    blue, lot = support_of(cited(FIRST + SECOND), PASSAGES, asking, plain_reader)
    assert [one.sentence for one in blue] == [FIRST, SECOND.strip()]
    assert [one.words for one in blue] == [0, 1]
    assert [one.words for one in lot] == [1, 0]
    for passage, found in zip(PASSAGES, (blue, lot), strict=True):
        assert found[0].gain == pytest.approx(by_hand(plain_reader, passage, FIRST), abs=1e-3)
        assert found[1].gain == pytest.approx(by_hand(plain_reader, passage, SECOND, FIRST), abs=1e-3)
    assert lot[0].gain > blue[0].gain + 0.5
    assert blue[1].gain > lot[1].gain + 0.5


def test_without_its_passage_a_prompt_differs_in_nothing_else():
    bare, whole = asking([""]), asking(PASSAGES[:1])
    assert bare.passages == whole.passages == 1
    assert bare.conversation[0].content == WITH_PASSAGES
    assert bare.conversation[-1].content == whole.conversation[-1].content.removeprefix(f"{PASSAGES[0]}\n\n")


def test_a_short_answer_is_measured_and_one_that_claims_nothing_is_not(reader):
    blue, lot = support_of(cited("by lot"), PASSAGES, asking, reader)
    assert lot[0].gain > blue[0].gain
    scored = []
    silent = Other(reader, loglikelihood=scored.append)
    assert support_of(cited("I do not know."), PASSAGES, asking, silent) == [(), ()]
    assert scored == []


def test_a_sentence_that_adds_no_token_to_those_before_it_takes_the_last(plain_reader):
    tokens = plain_reader.count_tokens(FIRST + SECOND)
    other = Other(plain_reader, count_tokens=lambda text: tokens)
    for passage in support_of(cited(FIRST + SECOND), PASSAGES, asking, other):
        assert all(math.isfinite(one.gain) for one in passage)


def test_a_reader_that_cannot_score_tells_the_words_alone(reader):
    def refuse(_):
        raise RalmError("The server returns no log-probabilities of a prompt.")

    found = support_of(cited(FIRST), PASSAGES, asking, Other(reader, loglikelihood=refuse))
    assert [(one.words, one.gain) for (one,) in found] == [(0, None), (1, None)]


def test_a_reader_that_stops_says_so(reader):
    def stop(_):
        raise ReaderStopped("The reader is being stopped.")

    with pytest.raises(ReaderStopped):
        support_of(cited(FIRST), PASSAGES, asking, Other(reader, loglikelihood=stop))


def test_a_reader_that_counts_tokens_otherwise_measures_a_whole_answer_alone(plain_reader):
    other = Other(plain_reader, count_tokens=lambda text: len(text.split()))
    (_, one), (_, two) = (
        support_of(cited(text), PASSAGES, asking, other) for text in (FIRST, FIRST + SECOND)
    )
    assert one[0].gain == pytest.approx(by_hand(plain_reader, PASSAGES[1], FIRST), abs=1e-3)
    assert [found.gain for found in two] == [None, None]
