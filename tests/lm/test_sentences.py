import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.sentences import sentence_end


def sentences(text):
    """A whole text in its sentences, without the white space between them."""
    found = []
    while (end := sentence_end(text, whole=True)) is not None:
        found.append(text[:end].strip())
        text = text[end:]
    return [one for one in [*found, text.strip()] if one]


@pytest.mark.parametrize(
    "text",
    [
        "match the given object's\ndocstring.",
        "a sentence of\nthree\nlines.",
        "Dr. Miller met Mrs. Wu.",
        "The U.S. Army and J. R. Smith agreed.",
        "It uses a tool, e.g. a hammer, i.e. a heavy one.",
        "It is 3.5 km long, or 1.000.000 steps.",
        "See Fig. 3 and No. 7 at 9 a.m. on Monday.",
        "Pots, pans etc. are made of glass vs. clay.",
        "1. Open the file.",
        "- an entry that\n  goes on",
        "He wrote items[0].name and os.path.",
        "a range of 5\n-3 degrees",
        "**bold** and\n**bold again**",
        "A dash -\nand on.",
        "She has a Ph.D. in physics.",
        "She has approx. five of them, or ca. 6.",
        "It is ... blue.",
        "It is… blue.",
        "Yahoo! was founded in 1994.",
        '"Is it blue?" he asked, "or red!" and left.',
        "J. R. R. Tolkien and John F. Kennedy met.",
        "Smith et al. (2019) and Wu et al. measured it.",
        "They went to St. Louis in the U.S. Navy.",
        "B. The mayor",
        "It stands in the docs.[1][2]",
        "Milongo",
        "known for\n[1] and pots.",
    ],
)
def test_it_is_one_sentence(text):
    assert sentences(text) == [text]


@pytest.mark.parametrize(
    "parts",
    [
        ["It is blue.", "It is glass!", "Is it?", "Yes."],
        ["The answer is no.", "Nobody knows art.", "So be it."],
        ['He said "no."', "She left."],
        ["**It is bold.**", "This is not."],
        ["They sell pots, pans, etc.", "Glass is dear."],
        ["It stands since 1787.", "It is old..."],
        ["It is old…", "It is blue."],
        ["They live in the U.S.", "Their glass is blue.", "Nobody lives in D.C.", "But some do."],
        ["It is vitamin C.", "It is good for you.", "He lives in Main St.", "She does not."],
        ["It is blue.[1]", "It is glass.[1, 2]", "Is it?[3]", "It is.【1】", "Yes.¹"],
        ["Pots, says Wu et al.", "They are blue."],
        ["“It is blue.”", "“It is not.”"],
    ],
)
@pytest.mark.parametrize("between", [" ", "\n", "  \n", "\n\n"])
def test_they_are_several_sentences(parts, between):
    assert sentences(between.join(parts)) == parts


@pytest.mark.parametrize(
    "parts",
    [
        ["one paragraph", "\nanother"],
        ["one paragraph", "\r\nanother"],
        ["Of these:", "- the first", "- the second", "  * inside"],
        ["Steps", "1. open", "2) close", "10. end"],
        ["# A heading", "its text", "## Another"],
        ["a text", "| a | table |", "| - | - |", "and text"],
        ["a text", "> said by others"],
        ["Passages:", "[1] Arvenholm", "[2] Dunmarrow"],
        ["code", "```\nx = 1. \n\ny = 2\n```", "and text"],
    ],
)
def test_paragraphs_lists_headings_and_code_end_a_sentence(parts):
    assert sentences("\n".join(parts)) == [part.strip() for part in parts]


def test_chinese_sentences_end_without_a_space():
    assert sentences("它是蓝色的。“它是玻璃！”是吗？") == ["它是蓝色的。", "“它是玻璃！”", "是吗？"]


@given(st.text("Abt .!?…。”\n12[]【】`-#|*)etc \r", max_size=60), st.integers(0, 60))
def test_what_follows_changes_no_end_that_was_found(text, at):
    end = sentence_end(text[:at])
    assert end is None or sentence_end(text) == end == sentence_end(text, whole=True)


@given(st.text("Ab .!?\n12`-#|*", max_size=60))
def test_nothing_is_lost(text):
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())
