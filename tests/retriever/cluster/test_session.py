from dataclasses import replace

import numpy as np
import pytest

from base.errors import Unavailable
from retriever.cluster.actors import Searchers
from retriever.cluster.searcher import Part
from retriever.cluster.session import ClusterSession, Spread, joined
from retriever.local import LocalRetriever
from retriever.opened import Opening
from retriever.ranking.candidates import Candidates, by_codes

TWO = Searchers(2, cpus=0.1)


def part(rows, codes, exact):
    return Part(Candidates(np.array([rows]), np.array([codes], np.float32)), np.array([exact], np.float32))


@pytest.mark.parametrize(
    ("want", "expected"),
    [(1, {2, 7}), (2, {2, 7}), (3, {0, 2, 7}), (4, {0, 2, 5, 7}), (9, {0, 2, 5, 7})],
)
def test_searchers_candidates_are_joined_to_those_of_one_search(want, expected):
    """As many as wanted by their codes, and those that tie with the last."""
    parts = [part([0, -1, 2], [0.3, 9, 0.8], [1, 9, 1]), part([5, 7], [0.1, 0.8], [1, 1])]
    found = joined(parts, 1, want, True)
    assert {*found.rows[found.rows >= 0].tolist()} == expected
    # Of equal exact scores the lower row comes first, whatever the codes say.
    assert by_codes(found, 2).rows.tolist() == [sorted(expected)[:2]]


def test_candidates_of_no_searcher_are_none():
    assert by_codes(joined([], 2, 3, False), 2).rows.tolist() == [[-1, -1], [-1, -1]]


class Deaf:
    """Searchers of which the second gives no answer; it notes who was asked."""

    def __init__(self):
        self.handles = [None, None]
        self.asked = []

    def ask(self, method, calls, patience, groups):
        self.asked.append(sorted(calls))
        return {number: method for number in calls if number != 1}, [n for n in calls if n == 1]


@pytest.fixture
def spread(own_store):
    return Spread(LocalRetriever.open(own_store, Opening(words_only=True)).opened, Deaf())


def test_who_does_not_answer_once_is_missing_and_not_asked_again_in_a_search(spread):
    session = ClusterSession(spread, replace(TWO, partial=True))
    assert session.missing == ()
    assert session.ask("ready") == {0: "ready"}
    assert session.missing == tuple(spread.groups[1])
    assert session.ask("passages", each={0: [1], 1: [40]}) == {0: "passages"}
    assert spread.actors.asked == [[0, 1], [0]]
    # The next search asks it again.
    ClusterSession(spread, replace(TWO, partial=True)).ask("ready")
    assert spread.actors.asked[-1] == [0, 1]


def test_without_partial_answers_a_lost_searcher_is_an_error(spread):
    shards = ", ".join(map(str, spread.groups[1]))
    with pytest.raises(Unavailable, match=f"searchers of shards {shards} do not answer"):
        ClusterSession(spread, TWO).ask("ready")


def test_every_shard_is_in_one_group(spread):
    shards = len(spread.opened.store.manifest.shards)
    assert spread.shards(range(len(spread.groups))) == list(range(shards))
    assert [ticket.shards for ticket in spread.tickets] == list(spread.groups)
