"""Requests that are searched as one batch find what each would find alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from base.errors import RalmError
from datastore.view import View
from retriever.local import LocalRetriever
from retriever.refinement import Decontamination, Refinement
from retriever.request import Method, Search
from serve.answering.finding import Query, find
from serve.queues.together import Together
from tests.conftest import delete

TEXTS = ["blue glass", "smoked trout", "Who is the mayor of Bralgate?", "an old bridge", "blue glass "]
SEARCHES = [
    Search(3, method=Method("dense")),
    Search(5, method=Method("bm25")),
    Search(4),
    Search(2, View(0.5, 1)),
    Search(3, method=Method("dense"), refinement=Refinement(decontamination=Decontamination(n=2))),
]


@pytest.fixture(scope="module")
def retriever(store) -> LocalRetriever:
    return LocalRetriever.open(store)


def queries(search: Search, texts: list[str]) -> tuple[Query, ...]:
    known = [["glass blowers"]] * len(texts) if search.refinement.decontamination else None
    return Query.each(texts, known)


def answer(together: Together, jobs) -> None:
    together.encode(jobs)
    together.search([job for job in jobs if not job.future.done()])


def alike(one, other) -> bool:
    """The same hits; the last digits of a vector, and so the order of likely ones, depend on its batch."""
    assert len(one) == len(other)
    for mine, its in zip(one, other, strict=True):
        scores = [hit.score for hit in mine.hits]
        assert scores == pytest.approx([hit.score for hit in its.hits], abs=0.02)
        sure = {hit.row for hit in mine.hits if hit.score > scores[-1] + 0.02}
        assert sure <= {hit.row for hit in its.hits}
        assert (mine.exhausted, mine.missing) == (its.exhausted, its.missing)
    return True


requests = st.tuples(st.sampled_from(SEARCHES), st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(requests, min_size=1, max_size=5), min_size=1, max_size=3))
def test_together_and_alone_with_what_is_kept_and_without_the_same_is_found(retriever, batches):
    keeping, forgetting = Together(), Together(0, 0)
    for batch in batches:
        asked = [(queries(search, texts), retriever.settled(search)) for search, texts in batch]
        jobs = [(keeping.job(retriever, *one), forgetting.job(retriever, *one)) for one in asked]
        answer(keeping, [one for one, _ in jobs])
        answer(forgetting, [one for _, one in jobs])
        for (texts, search), (kept, fresh) in zip(asked, jobs, strict=True):
            alone = find(retriever, texts, search)
            assert alike(alone.rankings, kept.future.result(0).rankings)
            assert alike(alone.rankings, fresh.future.result(0).rankings)
            assert set(alone.seconds) <= set(fresh.future.result(0).seconds) | {"encode"}
    assert forgetting.results.bytes == forgetting.vectors.kept.bytes == 0


def test_what_is_kept_is_the_very_ranking_and_takes_no_search(retriever, monkeypatch):
    together, search = Together(), retriever.settled(SEARCHES[2])
    first = together.job(retriever, Query.each(TEXTS), search)
    answer(together, [first])
    monkeypatch.setattr(LocalRetriever, "search", None)
    again = together.job(retriever, Query.each(TEXTS[:2]), search)
    assert again.missing == []
    assert [again.found[one] for one in Query.each(TEXTS[:2])] == list(first.future.result(0).rankings[:2])
    assert together.results.bytes > 0


def test_what_one_asks_wrongly_costs_it_alone(retriever):
    together = Together()
    dense = retriever.settled(SEARCHES[0])
    jobs = [
        together.job(retriever, Query.each(["blue glass"]), dense),
        together.job(retriever, Query.each(["鬱"]), dense),  # Nothing that the encoder knows.
        together.job(retriever, Query.each(["blue glass"]), Search(3, View(domains=("nowhere",)))),
        together.job(retriever, Query.each(["smoked trout"]), dense),
    ]
    answer(together, jobs)
    assert alike(
        jobs[0].future.result(0).rankings, find(retriever, Query.each(["blue glass"]), dense).rankings
    )
    assert jobs[3].future.result(0).rankings[0].hits[0].passage.doc_id.startswith("Corrowick")
    for refused, words in ((jobs[1], "encoder"), (jobs[2], "nowhere")):
        with pytest.raises(RalmError, match=words):
            refused.future.result(0)


def test_what_lacks_a_shard_is_not_kept(retriever, monkeypatch):
    together, search = Together(), retriever.settled(SEARCHES[0])
    whole = retriever.search(["blue glass"], search)
    monkeypatch.setattr(
        LocalRetriever, "search", lambda *_: [replace(ranking, missing=(1,)) for ranking in whole]
    )
    job = together.job(retriever, Query.each(["blue glass"]), search)
    answer(together, [job])
    assert job.future.result(0).rankings[0].missing == (1,)
    assert together.job(retriever, Query.each(["blue glass"]), search).missing != []


def test_what_is_taken_down_is_found_no_more_though_it_was_kept(own_store):
    before, together = LocalRetriever.open(own_store), Together()
    search = before.settled(Search(3))

    def first(retriever: LocalRetriever) -> str:
        job = together.job(retriever, Query.each(["blue glass"]), search)
        answer(together, [job])
        return job.future.result(0).rankings[0].hits[0].passage.doc_id

    gone = first(before)
    assert first(before) == gone
    delete(own_store, gone)
    assert first(before.hiding()) != gone
    assert first(before.refreshed()) != gone


def test_whoever_has_left_is_told_nothing(retriever):
    together, search = Together(), retriever.settled(SEARCHES[0])
    job = together.job(retriever, Query.each(["blue glass"]), search)
    assert job.future.cancel()
    answer(together, [job])
    assert job.future.cancelled()


def test_seconds_are_those_of_the_request_and_the_rest_was_waited(retriever):
    together, search = Together(), retriever.settled(SEARCHES[2])
    job = together.job(retriever, Query.each(["blue glass"]), search)
    job.came -= 5
    answer(together, [job])
    seconds = job.future.result(0).seconds
    assert set(seconds) == {"queue", "encode", "propose", "rescore", "words", "fuse", "passages"}
    assert 5 < seconds["queue"] < 6
    assert np.all([value >= 0 for value in seconds.values()])
