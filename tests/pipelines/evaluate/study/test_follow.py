"""Filters and rerankers of a study are those of a search, and each pair is scored once."""

import numpy as np
import pytest

from base.errors import RalmError
from datastore.schema import Passage
from pipelines.evaluate.study import follow
from pipelines.evaluate.study.follow import Reranker, kept, parts_of
from pipelines.questions import Question
from retriever.refinement import Decontamination, Refinement, filtered, reordered
from retriever.results import Hit


def hit_of(row, text):
    return Hit(row, 1.0 / (1 + row), Passage(text, "d", f"doc{row}", 0, 0, {}))


LONG = " ".join(f"word{number}" for number in range(40))
ASKED = Question("q", LONG, ("an answer",), frozenset())


def test_names_are_joined_by_a_plus():
    assert parts_of("none") == ()
    overlap = Refinement(decontamination=Decontamination.by("overlap"))
    assert parts_of("overlap+near-duplicates") == (overlap, Refinement(near_duplicates=0.8))
    with pytest.raises(RalmError, match=r"Unknown filter 'overlaps': valid are none, .*did you mean overlap"):
        parts_of("overlaps")


def test_a_filter_keeps_what_a_search_with_it_keeps():
    hits = tuple(hit_of(row, text) for row, text in enumerate([LONG, "other words", LONG + " and more"]))
    one = Refinement(decontamination=Decontamination.by("overlap"))
    assert kept("overlap", hits, ASKED) == filtered(one, hits, ASKED.text, ASKED.answers) == hits[1:2]
    assert kept("none", hits, ASKED) == hits


def test_a_reranker_ranks_as_a_search_does_and_scores_each_pair_once(monkeypatch):
    asked = []

    def scorer(name):
        def scores(query, texts):
            asked.extend((query, text) for text in texts)
            return np.array([float(len(text) % 5) for text in texts], np.float32)

        return scores

    monkeypatch.setattr(follow, "cross_encoder", scorer)
    monkeypatch.setattr("retriever.refinement.cross_encoder", scorer)
    hits = tuple(hit_of(row, "x" * length) for row, length in enumerate([3, 9, 4, 5, 8]))
    reranker = Reranker("any")
    found = reranker.rank("q", hits)
    assert len(asked) == 5
    assert [hit.row for hit in reranker.rank("q", hits[1:])] == [hit.row for hit in found if hit.row]
    assert len(asked) == 5
    by_search = reordered(Refinement(cross_encoder="any"), "q", hits, 5, lambda _: np.zeros((5, 1)))
    assert [hit.row for hit in by_search] == [hit.row for hit in found]
    reranker.forget()
    reranker.rank("q", hits)
    assert len(asked) == 15
