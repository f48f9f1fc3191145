from hypothesis import given
from hypothesis import strategies as st

from pipelines.execution.counts import Shown

COUNTS = {"left_out.too_long": 1234, "left_out.no_date": 0, "left_outside": 5, "doubtful": 0}


def test_counts_are_shown_under_their_words():
    fields = Shown("left_out.", "fields left out: {reason}")
    assert fields.rows(COUNTS) == [("fields left out: too long", "1,234"), ("fields left out: no date", "0")]
    assert Shown("left_out.", "  for {name}", if_any=True).rows(COUNTS) == [("  for too_long", "1,234")]
    assert Shown("doubtful", "documents doubtful").rows(COUNTS) == [("documents doubtful", "0")]
    assert Shown("doubtful", "documents doubtful", if_any=True).rows(COUNTS) == []


@given(
    st.dictionaries(st.text("ab._", max_size=4), st.integers(0, 9)), st.text("ab._", min_size=1, max_size=3)
)
def test_a_row_for_each_count_that_it_holds(counts, name):
    shown = Shown(name, "{name}")
    assert len(shown.rows(counts)) == sum(map(shown.holds, counts))
    assert all(
        held.startswith(name) if name.endswith(".") else held == name for held in filter(shown.holds, counts)
    )
