import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.prompts import Message
from serve.answering.queries import leans, query_of

TALK = [
    Message("system", "Answer in French."),
    Message("user", "Who painted the bridge of Dunmarrow?"),
    Message("assistant", "Ansel Mirn did, in Hollinport."),
    Message("user", "Is Orl near it?"),
    Message("assistant", "Yes."),
]


@pytest.mark.parametrize(
    "question",
    [
        "And when was it built?",
        "When was that?",
        "Who made them?",
        "Why?",
        "What about the river?",
        "His wife?",
    ],
)
def test_a_question_that_leans_stands_behind_the_names_that_were_said(question):
    assert leans(question)
    assert query_of(question, TALK) == f"dunmarrow ansel mirn hollinport orl {question}"


@pytest.mark.parametrize(
    "question", ["Who built the old bridge of Bralgate?", "What is the capital of France?", "blue glass"]
)
def test_a_question_that_stands_by_itself_is_searched_for_as_it_is(question):
    assert query_of(question, TALK) == question


def test_where_no_name_was_said_it_stands_behind_the_users_questions():
    talk = [Message("user", "how is blue glass made?"), Message("assistant", "By hand.")]
    assert query_of("And why?", talk) == "how is blue glass made?\nAnd why?"


@given(st.text(max_size=40))
def test_a_first_question_is_searched_for_as_it_is(question):
    assert query_of(question, []) == question


def test_what_was_said_long_ago_counts_no_more():
    assert "dunmarrow" not in query_of("And why?", [*TALK, *TALK[3:], *TALK[3:]])
