"""A searcher in this process: what it answers is the same in an actor."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import RalmError
from datastore.generations.generation import current
from datastore.store import Datastore
from datastore.takedown import Takedown, Takedowns, take_down
from datastore.view import View
from retriever.cluster.searcher import Searcher, Ticket, groups, part_of
from retriever.index.loading import in_memory
from retriever.ranking.propose import Proposer
from retriever.ranking.rescore import scores
from tests.vectors import make_store, passage, random_vectors


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.integers(1, 15))
def test_groups_hold_every_shard_once_and_about_as_many_rows(rows, count):
    shards = [SimpleNamespace(first_row=sum(rows[:n]), rows=r) for n, r in enumerate(rows)]
    found = groups(SimpleNamespace(shards=shards, rows=sum(rows)), count)
    assert [n for group in found for n in group] == list(range(len(rows)))
    assert len(found) == min(count, len(rows))
    assert all(len(group) for group in found)


def test_a_part_numbers_its_rows_from_nothing(tmp_path):
    store = make_store(tmp_path, np.arange(40), random_vectors(0, 40), per_shard=7)
    part = Datastore(store.layout, part_of(store.manifest, range(2, 4)))
    assert part.rows == 14
    assert part.passage(0) == store.passage(14)
    assert (part.vectors([13]) == store.vectors([27])).all()


def tickets(manifest, count):
    return [Ticket(manifest.generation, manifest.hash, group) for group in groups(manifest, count)]


def test_an_empty_store_has_no_groups():
    assert groups(SimpleNamespace(shards=[], rows=0), 3) == []


@pytest.mark.parametrize("key", ["Flat", "IVF4,PQ4x4"])
def test_searchers_propose_together_what_one_index_proposes(tmp_path, key):
    """All rows are asked for, so that nothing is left out by one group that another would have had."""
    store = make_store(tmp_path, np.arange(40), random_vectors(0, 40), key)
    queries = random_vectors(1, 3).astype(np.float32)
    index = in_memory(tmp_path, store.manifest)
    assigned, views = index.assign(queries), [View(), View(0.5, 1)]
    searcher = Searcher(tmp_path)
    found = [searcher.candidates(t, queries, assigned, views, 40) for t in tickets(store.manifest, 3)]
    for number, expected in enumerate(Proposer(store, index).propose(assigned, views, 40)):
        parts = [part[number] for part in found]
        # Groups come in row order.
        rows = np.concatenate([part.found.rows for part in parts], axis=1)
        exact = np.concatenate([part.exact for part in parts], axis=1)
        there = expected.rows >= 0
        assert (rows[rows >= 0] == expected.rows[there]).all()
        assert (exact[rows >= 0] == scores(store, queries, expected.rows)[there]).all()


def test_rows_are_those_of_the_whole_store(tmp_path):
    store = make_store(tmp_path, np.arange(40), random_vectors(0, 40))
    searcher = Searcher(tmp_path)
    first, second = tickets(store.manifest, 2)
    assert searcher.ready(first) + searcher.ready(second) == 40
    start = store.manifest.shards[second.shards.start].first_row
    assert searcher.passages(second, [39, start]) == [store.passage(39), store.passage(start)]


def test_the_last_two_generations_are_held_and_codes_that_stay_the_same_once(tmp_path):
    layout = make_store(tmp_path, np.arange(20), random_vectors(0, 20)).layout
    searcher, asked = Searcher(tmp_path), []
    for number in range(3):
        gone = passage(number)
        (ticket,) = tickets(current(layout), 1)
        asked.append(ticket)
        searcher.ready(ticket)
        take_down(layout, Takedowns(frozenset({Takedown(gone.domain, gone.doc_id)})))
    assert list(searcher._groups) == asked[1:]
    one, other = searcher._groups.values()
    assert one.index is other.index
    assert (one.store.passages, other.store.passages) == (19, 18)
    searcher.ready(asked[1])
    searcher.ready(asked[0])
    assert list(searcher._groups) == [asked[1], asked[0]]


def test_a_store_that_was_built_anew_is_refused(tmp_path):
    manifest = make_store(tmp_path, np.arange(20), random_vectors(0, 20)).manifest
    (ticket,) = tickets(manifest, 1)
    searcher = Searcher(tmp_path)
    with pytest.raises(RalmError, match="has been built anew"):
        searcher.ready(Ticket(ticket.generation, "another hash", ticket.shards))
    assert searcher.ready(ticket) == 20


def test_what_a_searcher_cannot_hide_it_does_not_show(tmp_path):
    layout = make_store(tmp_path, np.arange(20), random_vectors(0, 20)).layout
    (ticket,) = tickets(current(layout), 1)
    gone = passage(3)
    later = take_down(layout, Takedowns(frozenset({Takedown(gone.domain, gone.doc_id)})))
    asked = replace(ticket, later=(later.generation, later.hash))
    lists, manifest = layout.takedowns(later.generation), layout.manifest(later.generation)
    assert Searcher(tmp_path)._open(asked).store.passages == 19
    # As on a machine that does not see the new generation. Its list tells as much; without it nobody does.
    manifest.unlink()
    assert Searcher(tmp_path)._open(asked).store.passages == 19
    lists.unlink()
    with pytest.raises(RalmError, match=manifest.name):
        Searcher(tmp_path).ready(asked)
