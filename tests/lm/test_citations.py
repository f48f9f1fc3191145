from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.citations import Citer, cited

PASSAGES = [
    "[1] Arvenholm lies in the province of Tessaly, beside the river Mirn.",
    "[2] People in Dunmarrow have long been known for their blue glass.",
]


def cite(answer, passages):
    return Citer(passages).cite(answer)


def test_each_sentence_cites_the_passage_that_holds_its_words():
    answer = "Arvenholm lies beside the river Mirn. Dunmarrow is known for blue glass. Nobody likes Mondays."
    assert cite(answer, PASSAGES) == (
        "Arvenholm lies beside the river Mirn. [1] Dunmarrow is known for blue glass. [2] "
        "Nobody likes Mondays."
    )


def test_markers_the_model_made_up_are_taken_out():
    assert cite("Everything is fine [7]. Blue glass [1].", PASSAGES) == (
        "Everything is fine. Blue glass. [2]"
    )


def test_code_in_an_answer_is_no_marker():
    answer = "Use items[0] and x = a[1] + b[2] here."
    assert cite(answer, PASSAGES) == cite(answer, []) == answer


def test_a_passages_own_number_supports_nothing():
    assert cite("2.", PASSAGES) == "2."


def test_without_passages_nothing_is_cited():
    assert cite("Arvenholm lies beside the river.", []) == "Arvenholm lies beside the river."


def test_a_tie_goes_to_the_passage_that_holds_it_word_for_word_and_then_to_the_better_ranked():
    assert cite("blue glass", ["[1] blue glass", "[2] blue glass"]) == "blue glass [1]"
    assert cite("blue glass", ["[1] glass of blue", "[2] a blue-glass pot"]) == "blue glass [2]"
    assert cite("the of and", ["[1] the of and"]) == "the of and"


@pytest.mark.parametrize(
    "answer", ["Milongo", "Milongo.", "**Milongo**", '"Milongo"', "Bernard Milongo", "1,997"]
)
def test_a_short_answer_cites_the_first_passage_that_holds_it(answer):
    passages = ["[1] Nothing.", "[2] In 1997 Bernard Milongo's party left.", "[3] Bernard Milongo, of 1997."]
    assert cite(answer, passages) == f"{answer} [2]"


@pytest.mark.parametrize(
    "answer",
    ["I do not know.", "I don't know.", "Yes.", "(B)", "The passages do not say who made the blue glass."],
)
def test_who_claims_nothing_cites_nothing(answer):
    citer = Citer([*PASSAGES, "I do not know. Yes, I don't. B."])
    assert citer.cite(answer) == answer
    assert citer.claims == []


def test_half_of_a_name_is_another_name():
    assert cite("Queen Mary", ["[1] The queen is here."]) == "Queen Mary"


def test_claims_say_what_each_passage_holds():
    citer = Citer(PASSAGES)
    citer.cite("Arvenholm has blue glass,\n[3] they say. Nobody likes Mondays. I do not know.")
    first, second = citer.claims
    assert (first.text, first.passage) == ("Arvenholm has blue glass, they say.", 2)
    assert first.shares == (1 / 3, 2 / 3)
    assert (second.shares, second.passage) == ((0, 0), None)
    assert cited(citer.claims) == {2}


def test_a_table_is_marked_within_its_cells_and_its_heading_is_not():
    answer = (
        "| Town | Blue glass |\n|---|---|\n| Arvenholm | river Mirn [2] |\n| Dunmarrow | blue glass |\n"
        "Blue glass."
    )
    assert cite(answer, PASSAGES) == (
        "| Town | Blue glass |\n|---|---|\n| Arvenholm | river Mirn [1] |\n| Dunmarrow | blue glass [2] |\n"
        "Blue glass. [2]"
    )


def test_a_hash_is_no_heading_without_a_space():
    assert cite("#Blue glass is of Dunmarrow.", PASSAGES) == "#Blue glass is of Dunmarrow. [2]"


def test_a_sentence_that_is_wrapped_has_one_marker():
    passage = (
        "[1] dedent removes white space that every line begins with, to match the given object's docstring."
    )
    answer = (
        "It removes white space to match the given object's\ndocstring, from the\nbeginning of every line."
    )
    assert cite(answer, [passage]) == f"{answer} [1]"


def test_headings_and_code_have_no_markers_and_list_entries_have_their_own():
    code = "```\nx = [1]  # Blue glass.\n```"
    answer = f"# Blue glass\nDunmarrow is known for:\n- blue glass\n- pots\n{code}\nThe river Mirn"
    marked = (
        f"# Blue glass\nDunmarrow is known for: [2]\n- blue glass [2]\n- pots\n{code}\nThe river Mirn [1]"
    )
    assert cite(answer, PASSAGES) == marked


TEXTS = st.text("Blue gs.!?…\n12[]【】()¹ Mirn`-#|*etc \r", max_size=80)
PARTS = [
    "Blue glass",
    "Mirn",
    ".",
    "?",
    " ",
    "\n",
    "\n\n",
    "[1]",
    " [2, 3]",
    "(1)",
    "【1】",
    "- ",
    "| ",
    "# ",
    "```",
    "`",
]
ANSWERS = TEXTS | st.lists(st.sampled_from([*PARTS, "Dr.", "U.S.", "The", "etc.", "“", "”"])).map("".join)


@pytest.mark.parametrize(
    "answer", ["Blue glass\n- ", "Blue glass etc. The river", "Blue glass of St. The Mirn"]
)
def test_letters_wait_for_what_decides_whether_a_sentence_ends(answer):
    letters, whole = Citer(PASSAGES), Citer(PASSAGES)
    assert "".join(letters.stream(answer)) == whole.cite(answer)


@given(ANSWERS, st.data())
def test_a_stream_is_cited_as_the_whole_is(answer, data):
    at = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=5)))
    pieces = [answer[a:b] for a, b in zip([0, *at], [*at, len(answer)], strict=True)]
    stream, letters, whole = (Citer(PASSAGES) for _ in range(3))
    assert "".join(stream.stream(pieces)) == "".join(letters.stream(answer)) == whole.cite(answer)
    assert stream.claims == letters.claims == whole.claims


@given(ANSWERS)
def test_nothing_but_markers_changes(answer):
    citer = Citer(PASSAGES)
    marked = citer.cite(answer)
    assert cited(citer.claims) <= {1, 2}
    assert all(f" [{number}]" in marked for number in cited(citer.claims))


def test_an_index_is_no_citation():
    citer = Citer(["[1] blue glass", "[2] the river"])
    assert citer.cite("Use items[0] and a[1]. The river\n```\nx = y [1]\n```\n").count("[2]") == 1
    assert cited(citer.claims) == {2}


def test_text_goes_on_as_it_comes_and_its_marker_when_the_sentence_is_whole():
    pieces = ["Dunmarrow", " is known", " for blue", " glass.", " The", " river Mirn", " is grey."]
    assert list(Citer(PASSAGES).stream(pieces)) == [
        "Dunmarrow",
        " is known",
        " for blue",
        " glass.",
        " [2]",
        " The",
        " river Mirn",
        " is grey.",
        " [1]",
    ]


def test_what_may_be_a_marker_waits_for_the_end_of_its_sentence():
    pieces = ["Blue glass", " [", "7", "] is made", " here.", " So"]
    assert list(Citer(PASSAGES).stream(pieces)) == ["Blue glass", " is made here. [2]", " So"]


SOURCE = (
    "[1] Sessions: The time limit of a session is 45 minutes, as Ansel Mirn set it on 3 March 1990. "
    "Every eight years 1,000 people of Dunmarrow draw lots."
)


@pytest.mark.parametrize(
    "sentence",
    [
        "The time limit of a session is 45 minutes.",
        "Ansel Mirn set the time limit of a session on March 3, 1990.",
        "Mirn's time limit of a session is 45 minutes.",
        "Every 8 years a thousand people draw lots, 1000 of them.",
        "1. The time limit of a session is 45 minutes.",
        "Passage 1 says that the time limit of a session is 45 minutes.",
        "One time limit of a session is 45 minutes.",
        "Time limits of a session are 45 minutes.",
    ],
)
def test_a_sentence_is_cited_whose_numbers_and_names_stand_in_the_passage(sentence):
    assert cite(sentence, [SOURCE]) == f"{sentence} [1]"


@pytest.mark.parametrize(
    "sentence",
    [
        "The time limit of a session is 10 minutes.",
        "The time limit of a session is ten minutes.",
        "The time limit of a session is 4.5 minutes.",
        "Ansel Morn set the time limit of a session on 3 March 1990.",
        "Ansel Mirn set the time limit of a session on 3 May 1990.",
        "Ansel Mirn set the time limit of a session on 3 March 1991.",
        "Every eight years 10,000 people of Dunmarrow draw lots.",
        "Every eight years people of Hollinport draw lots.",
        "Hollin Port has a time limit of 45 minutes a session.",
    ],
)
def test_a_sentence_with_another_number_name_or_date_is_not_vouched_for(sentence):
    citer = Citer([SOURCE])
    assert citer.cite(sentence) == sentence
    assert citer.claims[0].shares[0] >= 0.5


def test_another_passage_is_cited_if_it_alone_holds_the_numbers():
    passages = ["[1] The limit of a session of the council is 45 minutes.", "[2] A limit is 10 minutes."]
    assert cite("The limit of a session is 10 minutes.", passages).endswith("[2]")


@given(answer=ANSWERS, data=st.data())
def test_marks_are_where_markers_stand_or_would(answer, data):
    """However the answer comes: a text without markers and its marks are the text with them."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=4)))
    pieces = [answer[b:e] for b, e in pairwise([0, *cuts, len(answer)])]
    marked, plain = Citer(PASSAGES), Citer(PASSAGES, "none")
    text, bare = marked.cite(answer), "".join(plain.stream(pieces))
    for mark in marked.marks:
        assert text[mark.at :].startswith(f" [{mark.passage}]")
    for mark in reversed(plain.marks):
        bare = f"{bare[: mark.at]} [{mark.passage}]{bare[mark.at :]}"
    assert bare == text
    assert [one.passage for one in plain.marks] == [one.passage for one in marked.marks]


def test_a_text_that_is_left_as_it_is_has_marks_too():
    citer = Citer(["The river Mirn is cold."], "untouched")
    answer = '{"a": "The river Mirn is cold [2]."}'
    assert citer.cite(answer) == answer
    assert [(one.at, one.passage) for one in citer.marks] == [(len(answer), 1)]
