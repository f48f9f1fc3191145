from hypothesis import given
from hypothesis import strategies as st

from lm.conditioning import Source, pack
from lm.conditioning.packing import fill
from tests.lm.conditioning.texts import count, sources


@given(sources, st.integers(0, 60))
def test_the_budget_is_kept_and_what_is_packed_are_the_leading_passages_in_order(found, budget):
    blocks = fill(found, count, budget)
    assert sum(count(block.written) for block in blocks) <= budget
    assert [block.number for block in blocks] == list(range(1, len(blocks) + 1))
    held = [rank for rank, source in enumerate(found) if source.text.strip()]
    assert [block.rank for block in blocks] == held[: len(blocks)]
    for block in blocks:
        assert block.whole == (block.text == found[block.rank].text)


@given(sources, st.integers(0, 60))
def test_the_last_alone_is_cut_behind_the_last_sentence_that_fits(found, budget):
    blocks = fill(found, count, budget)
    assert all(block.whole for block in blocks[:-1])
    if blocks and not blocks[-1].whole:
        last, source = blocks[-1], found[blocks[-1].rank]
        assert source.text.startswith(last.text)
        assert last.text.endswith("it is.")
        rest = source.text[len(last.text) :].lstrip()
        one_more = rest[: rest.index("it is.") + len("it is.")]
        assert sum(count(block.written) for block in blocks) + count(one_more) > budget


def test_where_no_sentence_fits_nothing_is_packed():
    sources = [Source("", "One two three four five. Six."), Source("", "Seven.")]
    assert pack(sources, count, 5) == []
    assert pack(sources, count, 6) == ["[1] One two three four five."]
    assert pack(sources, count, 0) == []
    assert pack([], count, 10) == []


def test_an_abbreviation_or_a_title_with_a_full_stop_is_no_place_to_cut():
    source = Source("Dr. No", "It was shown by Mr. Smith in May. He left in June.")
    assert pack([source], count, 12) == ["[1] Dr. No: It was shown by Mr. Smith in May."]
    assert pack([source], count, 8) == []


def test_white_space_is_no_passage_and_takes_no_number():
    blocks = fill([Source("Town", " \n"), Source("", "Here it is.")], count, 10)
    assert [(block.written, block.rank) for block in blocks] == [("[1] Here it is.", 1)]


def test_titles_stand_before_their_text():
    assert pack([Source("Town", "It lies low.")], count, 10) == ["[1] Town: It lies low."]
