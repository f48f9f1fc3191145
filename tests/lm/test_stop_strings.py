from hypothesis import given
from hypothesis import strategies as st

from lm.stop_strings import until_stop


@given(st.text("abc", max_size=30), st.lists(st.text("abc", min_size=1, max_size=3), max_size=3), st.data())
def test_a_stop_is_found_wherever_the_pieces_are_cut(text, stops, data):
    at = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]
    ends = [e for s in stops if (e := text.find(s)) >= 0]
    assert "".join(until_stop(pieces, stops)) == text[: min(ends, default=len(text))]
