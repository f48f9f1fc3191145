from random import Random

from hypothesis import given
from hypothesis import strategies as st

from lm.conditioning import Source
from pipelines.evaluate.metrics import contains
from pipelines.tuning.shapes import sentences, shaped, typed

TEXT = "The sea at Lenmoor is grey. Its glass is\nblown by Ann Orrin. It is sold in autumn"
SOURCE = Source("Glass", TEXT)


@given(st.integers())
def test_whatever_the_shape_a_passage_that_tells_still_does(seed):
    (found,) = shaped([SOURCE], ["Ann Orrin"], Random(seed))
    assert contains(found.text, ["Ann Orrin"])
    assert found.text in {TEXT, "Its glass is blown by Ann Orrin."}


@given(st.integers())
def test_what_the_title_alone_tells_may_be_lost_with_it_but_is_not_cut_off(seed):
    (found,) = shaped([SOURCE], ["Glass (disambiguation)", "Glass"], Random(seed))
    assert found.title in {"", "Glass"}
    assert len(shaped([], ["x"], Random(seed))) == 0


def test_sentences_of_a_text_lie_in_one_line_each():
    assert sentences(TEXT) == [
        "The sea at Lenmoor is grey.",
        "Its glass is blown by Ann Orrin.",
        "It is sold in autumn",
    ]
    assert sentences(" ") == []


def test_a_question_is_at_times_as_it_is_typed():
    found = {typed("Who blows glass?", Random(seed)) for seed in range(40)}
    assert found == {"Who blows glass?", "who blows glass"}
