from hypothesis import given
from hypothesis import strategies as st

from lm.citations import cite, cite_stream, cited, supporting

PASSAGES = [
    "[1] Arvenholm lies in the province of Tessaly, beside the river Mirn.",
    "[2] People in Dunmarrow have long been known for their blue glass.",
]


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


def test_a_tie_goes_to_the_better_ranked_passage():
    assert supporting("blue glass", [{"blue", "glass"}, {"blue", "glass"}]) == 1
    assert supporting("the of and", [{"blue"}]) is None


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


@given(st.text("Blue gs.!?\n12[] Mirn`-#|*etc \r", max_size=80), st.data())
def test_a_stream_is_cited_as_the_whole_is(answer, data):
    at = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=5)))
    pieces = [answer[a:b] for a, b in zip([0, *at], [*at, len(answer)], strict=True)]
    assert "".join(cite_stream(pieces, PASSAGES)) == cite(answer, PASSAGES)


@given(st.text("Blue gs.!?\n12[] Mirn`-#|*etc ", max_size=80))
def test_what_is_cited_is_what_was_marked(answer):
    marked = cite(answer, PASSAGES)
    assert set(cited(marked)) <= {1, 2}
    assert bool(cited(marked)) == (marked.count(" [1]") + marked.count(" [2]") > answer.count(" ["))


def test_an_index_is_no_citation():
    assert cited("Use items[0] and a[1]. [2]\n```\nx = y [1]\n```\n") == [2]


def test_cited_numbers_come_once_in_order():
    assert cited("a [2] b [1] c [2]") == [2, 1]
