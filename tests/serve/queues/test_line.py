"""A line and the thread that serves it."""

from concurrent.futures import Future
from queue import SimpleQueue
from threading import Barrier, Event

from retriever.request import Search
from serve.answering.finding import Query
from serve.queues.line import Line
from serve.queues.together import Job


def job(*texts: str) -> Job:
    return Job(None, Query.each(texts), Search())


def texts(jobs: list[Job]) -> list[str]:
    return [query.text for one in jobs for query in one.queries]


def test_what_waits_is_served_as_one_batch_in_the_order_of_coming_as_far_as_it_goes():
    go, batches = Event(), SimpleQueue()

    def serve(jobs):
        batches.put(texts(jobs))
        assert go.wait(60)

    line = Line("a line", 3, serve)
    line.put(job("first"))
    assert batches.get(timeout=60) == ["first"]
    for one in (job("a"), job("b", "c"), job("d"), job("e", "f", "g", "h"), job("i")):
        line.put(one)
    left = job("nobody waits for this")
    line.put(left)
    assert left.future.cancel()
    assert line.waiting == 10
    go.set()
    assert [batches.get(timeout=60) for _ in range(4)] == [
        ["a", "b", "c"],
        ["d"],
        ["e", "f", "g", "h"],
        ["i"],
    ]
    line.put(job("last"))
    assert line.waiting <= 1
    while (batch := batches.get(timeout=60)) == []:
        pass  # Of whoever had left.
    assert batch == ["last"]


def test_a_thread_begins_with_the_first_who_waits():
    line, served = Line("a line", 3, lambda jobs: served.set_result(texts(jobs))), Future()
    assert line._threads == []
    line.put(job("a"))
    assert served.result(60) == ["a"]
    assert [one.daemon for one in line._threads] == [True]


def test_several_batches_are_served_at_once_and_no_request_twice():
    both, served = Barrier(2), SimpleQueue()

    def serve(jobs):
        both.wait(60)  # Nobody gets on alone.
        served.put(texts(jobs))

    line = Line("a line", 1, serve, 2)
    for text in "abcd":
        line.put(job(text))
    assert sorted(served.get(timeout=60) for _ in range(4)) == [["a"], ["b"], ["c"], ["d"]]
