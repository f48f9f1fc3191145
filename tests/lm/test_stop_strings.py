from hypothesis import given
from hypothesis import strategies as st

from lm.stop_strings import trimmed, until_stop


@given(st.text("abc", max_size=30), st.lists(st.text("abc", min_size=1, max_size=3), max_size=3), st.data())
def test_a_stop_is_found_wherever_the_pieces_are_cut(text, stops, data):
    at = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]
    ends = [e for s in stops if (e := text.find(s)) >= 0]
    assert "".join(until_stop(pieces, stops)) == text[: min(ends, default=len(text))]


@given(st.lists(st.text("ab \n", max_size=5)))
def test_pieces_without_the_white_space_around_them_are_the_text_without_it(pieces):
    found = list(trimmed(pieces))
    assert "".join(found) == "".join(pieces).strip()
    assert "" not in found
