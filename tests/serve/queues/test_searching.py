"""The queue in front of the search."""

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from weakref import ref

import pytest

from base.errors import Busy
from retriever.local import LocalRetriever
from retriever.refinement import Refinement
from retriever.request import Method, Search
from serve.answering.finding import Query
from serve.queues.searching import BATCH, SearchQueue
from serve.queues.together import Together


class Gate(Together):
    """Lets batches through one by one, and writes down what each holds."""

    def __init__(self):
        super().__init__()
        self.entered, self.go, self.batches = Event(), Event(), []

    def encode(self, jobs):
        self.batches.append([query.text for job in jobs for query in job.queries])
        self.entered.set()
        assert self.go.wait(60)
        super().encode(jobs)


@pytest.fixture(scope="module")
def retriever(store) -> LocalRetriever:
    return LocalRetriever.open(store)


def asked(queue: SearchQueue, retriever: LocalRetriever, *texts: str):
    return queue._put(queue.together.job(retriever, Query.each(texts), Search(2)))


def test_those_who_wait_at_the_same_time_are_one_batch(retriever):
    gate = Gate()
    queue = SearchQueue(gate)
    first = asked(queue, retriever, "blue glass")
    assert gate.entered.wait(60)
    others = [asked(queue, retriever, text) for text in ("smoked trout", "an old bridge")]
    large = asked(queue, retriever, *(f"town {number}" for number in range(BATCH)))
    assert queue.waiting == 2 + BATCH
    gate.go.set()
    assert [len(one.result(60).rankings) for one in (first, *others, large)] == [1, 1, 1, BATCH]
    assert [len(batch) for batch in gate.batches] == [1, 2, BATCH]
    assert queue.waiting == 0


def test_beyond_what_may_wait_one_is_turned_away_at_once(retriever):
    gate = Gate()
    queue = SearchQueue(gate, waiting=2)
    taken = asked(queue, retriever, "blue glass")
    assert gate.entered.wait(60)
    large = asked(queue, retriever, "a mayor", "a bridge", "a river")  # Alone in the line it may be large.
    with pytest.raises(Busy, match="3 queries wait") as error:
        queue.find(retriever, Query.each(["smoked trout"]), Search(2))
    assert error.value.seconds > 0
    gate.go.set()
    assert len(large.result(60).rankings) == 3
    assert taken.result(60).rankings[0].hits
    assert queue.find(retriever, Query.each(["smoked trout"]), Search(2)).rankings[0].hits


def test_whoever_leaves_the_line_is_not_searched_for(retriever):
    gate = Gate()
    queue = SearchQueue(gate)

    async def ask() -> None:
        first = asyncio.create_task(queue.found(retriever, Query.each(["blue glass"]), Search(2)))
        await asyncio.to_thread(gate.entered.wait, 60)
        leaving = asyncio.create_task(queue.found(retriever, Query.each(["smoked trout"]), Search(2)))
        staying = asyncio.create_task(queue.found(retriever, Query.each(["an old bridge"]), Search(2)))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        gate.go.set()
        assert (await first).rankings[0].hits
        assert (await staying).rankings[0].hits

    asyncio.run(ask())
    assert gate.batches == [["blue glass"], ["an old bridge"]]
    assert queue.waiting == 0


def test_what_is_kept_does_not_wait(retriever):
    gate = Gate()
    gate.go.set()
    queue = SearchQueue(gate)
    found = queue.find(retriever, Query.each(["blue glass"]), Search(2))
    gate.go.clear()
    again = queue.find(retriever, Query.each(["blue glass"]), Search(2))
    assert again.rankings == found.rankings
    assert len(gate.batches) == 1


def test_many_threads_get_their_own(retriever):
    queue = SearchQueue()
    texts = [f"town {number}" for number in range(40)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda text: queue.find(retriever, Query.each([text]), Search(1)), texts))
    for text, one in zip(texts, found, strict=True):
        (alone,) = retriever.search([text], Search(1))
        assert one.rankings[0].hits[0].row == alone.hits[0].row


def test_a_thread_that_waits_keeps_no_generation_open(retriever):
    queue = SearchQueue()
    own = LocalRetriever(retriever.opened)
    assert queue.find(own, Query.each(["blue glass"]), Search(2)).rankings[0].hits
    gone = ref(own)
    del own
    for number in range(100):  # Until the threads wait again.
        gc.collect()
        if gone() is None:
            break
        assert queue.find(retriever, Query.each([f"town {number}"]), Search(2)).rankings
    assert gone() is None


def test_a_long_search_holds_up_no_other(retriever):
    go, entered = Event(), Event()

    class Slow(Together):
        def search(self, jobs):
            if any(job.search.refinement.filters for job in jobs):
                entered.set()
                assert go.wait(60)
            super().search(jobs)

    queue = SearchQueue(Slow())
    long = Search(2, refinement=Refinement(near_duplicates=0.8))
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(queue.find, retriever, Query.each(["blue glass"]), long)
        assert entered.wait(60)
        for method in ("dense", "bm25"):
            quick = Search(2, method=Method(method))
            assert queue.find(retriever, Query.each(["blue glass"]), quick).rankings[0].hits
        assert not slow.done()
        go.set()
        assert slow.result(60).rankings[0].hits
