import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastore.generations.generation import current
from datastore.hiding import without_later
from datastore.store import Datastore
from datastore.takedown import Takedown, Takedowns, take_down
from datastore.view import View
from tests.conftest import flip
from tests.vectors import make_store, passage, random_vectors

ROWS = 20


def down(store, numbers):
    documents = (passage(n) for n in numbers)
    return take_down(store.layout, Takedowns(frozenset(Takedown(p.domain, p.doc_id) for p in documents)))


@settings(max_examples=30)
@given(
    gone=st.lists(st.sets(st.integers(0, ROWS - 1), min_size=1, max_size=4), min_size=1, max_size=3),
    opened=st.integers(0, 1),
    damage=st.sampled_from(["", "deleted", "takedowns"]),
)
def test_a_reader_shows_what_the_later_generation_shows(tmp_path_factory, gone, opened, damage):
    root = tmp_path_factory.mktemp("hiding")
    store = make_store(root, range(ROWS), random_vectors(1, ROWS))
    for number, numbers in enumerate(gone):
        if number == opened:
            store = Datastore.open(root)
        down(store, numbers)
    later = current(store.layout)
    expected = list(Datastore.open(root))
    for file in {*later.files} - {*store.manifest.files}:
        if damage and file.path.startswith(damage):
            flip(root / file.path, -1)
    found = without_later(store, later)
    assert list(found) == expected
    assert found.passages == len(expected)
    assert found.hash == store.hash
    assert without_later(found, later) is found
    assert found.mask(View()).sum() == len(expected)
    kept = found.keep([View()], np.arange(ROWS))[0]
    assert [found.passage(row) for row in np.flatnonzero(kept).tolist()] == expected


def test_nothing_later_is_the_same_store(tmp_path):
    store = make_store(tmp_path, range(ROWS), random_vectors(1, ROWS))
    assert without_later(store, store.manifest) is store


def test_rows_are_looked_for_where_shards_were_written_anew(tmp_path):
    store = make_store(tmp_path, range(ROWS), random_vectors(1, ROWS))
    later = down(store, [3, 11])
    shards = tuple(s.model_copy(update={"passages": s.vectors}) for s in later.shards)
    found = without_later(store, later.model_copy(update={"shards": shards}))
    assert [p.doc_id for p in found] == [f"doc{n}" for n in range(ROWS) if n not in (3, 11)]


@pytest.mark.parametrize("again", [False, True])
def test_of_two_lists_the_one_that_can_be_read_counts(tmp_path, again):
    store = make_store(tmp_path, range(ROWS), random_vectors(1, ROWS))
    down(store, [3])
    later = down(store, [11])
    shards = tuple(s.model_copy(update={"deleted": None, "passages": s.vectors}) for s in later.shards)
    later = later.model_copy(update={"shards": shards})
    damaged = tmp_path / later.takedowns[0].path
    flip(damaged, 0)
    found = without_later(store, later)
    assert {f"doc{n}" for n in range(ROWS)} - {p.doc_id for p in found} == {"doc11"}
    if again:  # Nothing more can be read: nothing is made anew.
        assert without_later(found, later) is found
    flip(damaged, 0)
    assert without_later(found, later).passages == ROWS - 2
