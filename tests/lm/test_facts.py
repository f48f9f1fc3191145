import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.facts import Facts, Source, names, numbers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Eight of 1,000 people, 4.5% and 12:30", {"8", "1000", "4.5", "12:30"}),
        ("one of the towns", set()),
        ("Forty-two, on 3/4/1990.", {"40", "2", "3/4/1990"}),
        ("COVID-19 in the 1990s", {"19", "1990"}),
    ],
)
def test_numbers_have_one_spelling(text, found):
    assert {one for one in numbers(text) if one != "1"} == found


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("The mayor of Bralgate's hall is Ansel Mirn.", {"bralgate", "ansel", "mirn"}),
        ("Glass is made there.", set()),
        ("Ansel Mirn made it.", {"ansel", "mirn"}),
        ("**Milongo**", {"milongo"}),
        ("Milongo.", {"milongo"}),
        ("It is what I said in March.", {"march"}),
        ("- Blue glass is NATO's.", {"nato"}),
        ("it is made by hand", set()),
        ("The école of Évreux is über alt.", {"évreux"}),
        ("学校は東京にある", set()),
    ],
)
def test_names_are_told_by_their_capitals(sentence, found):
    assert names(sentence) == found


@given(st.text(max_size=60))
def test_what_a_sentence_says_stands_in_itself(text):
    assert Facts(text).names <= Source(text).words
    assert Facts(text).numbers <= Source(text).numbers
