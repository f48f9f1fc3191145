from hypothesis import given
from hypothesis import strategies as st

from datastore.generations.manifest import FileEntry, ShardEntry
from pipelines.indexing.compact import plan

FILE = FileEntry(path="passages/00004.arrow", bytes=0, xxh3="")


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=12))
def test_a_plan_takes_every_shard_that_has_lost_rows_and_fills_none_beyond_its_size(shape):
    entries = tuple(
        ShardEntry(
            first_row=0, rows=rows, passages=FILE, vectors=FILE, codes=None, taken_down=min(rows, gone)
        )
        for rows, gone in shape
    )

    class Given:
        shards = entries
        next_shard = 5

    groups = plan(Given, 9)
    places = [place for group in groups for place in group.places]
    assert places == sorted(set(places))
    assert {n for n, s in enumerate(entries) if s.taken_down} <= set(places)
    for group in groups:
        assert sum(entries[p].rows - entries[p].taken_down for p in group.places) <= 9
        assert list(group.places) == list(range(group.places[0], group.places[-1] + 1))
    assert [group.number for group in groups] == list(range(5, 5 + len(groups)))
