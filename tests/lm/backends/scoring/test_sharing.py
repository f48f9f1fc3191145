from hypothesis import given
from hypothesis import strategies as st

from lm.backends.scoring.sharing import Family, Stretch, batches, families, stem, stretches
from lm.reader import Row

TOKENS = st.lists(st.integers(0, 3), min_size=1, max_size=6).map(tuple)
ROWS = st.lists(st.builds(Row, TOKENS, st.lists(st.integers(0, 3), max_size=5).map(tuple)), max_size=12)


@given(ROWS, st.booleans())
def test_every_row_is_read_off_one_stretch_that_begins_with_it(rows, merged):
    found = stretches(rows, merged)
    assert sorted(at for one in found for at in one.rows) == [at for at, row in enumerate(rows) if row.text]
    for one in found:
        for at in one.rows:
            ids = rows[at].context + rows[at].text[:-1]
            assert one.ids[: len(ids)] == ids
            assert one.first <= len(rows[at].context) - 1
    if merged:
        assert not any(a is not b and b.ids[: len(a.ids)] == a.ids for a in found for b in found), (
            "a stretch that begins another is not read"
        )


@given(ROWS, st.integers(1, 40))
def test_every_stretch_is_in_one_batch_and_families_share_what_they_say(rows, most):
    some = stretches([Row((9,) * 33 + row.context, row.text) for row in rows])
    shared = stem(some)
    assert shared >= 33 if len(some) > 1 else shared == 0
    grouped = families(some, shared, most)
    found = [one for batch in batches(grouped, shared, most) for family in batch for one in family.stretches]
    assert sorted(one.rows for one in found) == sorted(one.rows for one in some)
    for family in grouped:
        heads = {one.ids[: family.shared] for one in family.stretches}
        assert len(heads) == 1
        assert all(one.first >= family.shared for one in family.stretches)


def test_choices_of_a_question_are_a_family_and_other_questions_are_not():
    question, other = tuple(range(40)), tuple(range(100, 140))
    some = stretches([Row(context, (last, 1)) for context in (question, other) for last in range(3)])
    assert [(family.shared, len(family.stretches)) for family in families(some, 0, 1000)] == [
        (39, 3),
        (39, 3),
    ]
    assert [len(family.stretches) for family in families(some, 0, 82)] == [2, 1, 2, 1]


def test_rows_of_unlike_length_are_not_padded_to_each_other():
    singles = [Family((Stretch((0,) * length, 0, (0,)),), 0) for length in (400, 370, 90, 20, 10)]
    widths = [[family.width for family in batch] for batch in batches(singles, 0, 10_000)]
    assert widths == [[400, 370], [90], [20, 10]]
    assert [len(batch) for batch in batches(singles, 0, 400)] == [1, 1, 1, 2]
