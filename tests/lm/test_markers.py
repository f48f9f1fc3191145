import pytest

from lm.markers import without_markers

PASSAGES = ["The last is items[1] of the list.", "It was seen by few (2).", "A third."]


@pytest.mark.parametrize(
    "marker",
    """[1]|[7]|[1, 2]|[1,2]|[1-3]|[1][3]|[1] [3]|[^1]|[Passage 2]|[source 1]|[Doc 3]|[passages 1 and 3]
    (Passage 2)|(see passages 1, 2)|([1])|【1】|【1†source】|<sup>1</sup>|(1)|(1, 3)""".replace(
        "\n    ", "|"
    ).split("|"),
)
def test_a_marker_is_taken_out_before_and_behind_the_full_stop(marker):
    assert without_markers(f"The glass is blue {marker}.", PASSAGES) == "The glass is blue."
    assert without_markers(f"**The glass is blue** {marker}", PASSAGES) == "**The glass is blue**"
    if not marker.startswith("(1"):
        assert without_markers(f"The glass is blue. {marker}", PASSAGES) == "The glass is blue."
        assert without_markers(f"Glass {marker}, they say, is blue.", PASSAGES) == "Glass, they say, is blue."
        assert without_markers(f" {marker} The glass is blue.", PASSAGES) == " The glass is blue."
        assert without_markers(f"- {marker} The glass is blue.", PASSAGES) == "- The glass is blue."


@pytest.mark.parametrize("marker", ["[1]", "[1][3]", "【2】"])
def test_one_that_is_attached_to_the_last_word_is_taken_out(marker):
    assert without_markers(f"The glass is blue{marker}.", PASSAGES) == "The glass is blue."
    assert without_markers(f"It stands since 1787{marker}", PASSAGES) == "It stands since 1787"
    assert without_markers(f"The glass is blue.{marker}", PASSAGES) == "The glass is blue."


@pytest.mark.parametrize(
    "sentence",
    [
        "Use items[0] and x = a[1] + b[2] here.",
        "The last is items[1].",  # As a passage has it.
        "It was seen by few (2).",
        "The last is `items [1]`.",
        "The first is a[1].",
        "Of eight ones it is items[7].",
        "It ended (1990).",
        "It ended in [1990].",
        "It has (1) glass and (2) pots.",
        "Write x = [1, 2] and sorted([1]) there.",
        "It is [1](https://example.org/).",
        "It covers 5 m².",
    ],
)
def test_what_only_looks_like_one_stays(sentence):
    assert without_markers(sentence, PASSAGES) == sentence


def test_one_that_the_sentence_needs_becomes_words():
    assert (
        without_markers("According to [1], it is blue [2].", PASSAGES)
        == "According to passage 1, it is blue."
    )
    assert without_markers("Passage [2] says so.", PASSAGES) == "Passage 2 says so."
    assert (
        without_markers("[1] says so, as stated in [3].", PASSAGES)
        == "Passage 1 says so, as stated in passage 3."
    )
    assert without_markers("[1] [2] say so.", PASSAGES) == "say so."
    assert without_markers("[1]: Arvenholm is a town.", PASSAGES) == "Arvenholm is a town."


def test_a_long_sentence_without_an_end_takes_no_time():
    for text in ("a" * 20_000, " " * 20_000, "[" * 20_000, "[1" * 10_000, "(1 " * 5_000, "`" * 20_001):
        assert without_markers(text, PASSAGES) == text
