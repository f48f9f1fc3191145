"""Threads that wait for the reader."""

from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event

import anyio

from serve.queues.reading import Reading


def test_pieces_come_one_after_another_as_they_are_there():
    async def all_of() -> list[int]:
        return [piece async for piece in Reading().each(iter([1, 2, 3]))]

    assert anyio.run(all_of) == [1, 2, 3]


def test_more_wait_than_the_threads_of_searches_and_a_search_goes_on():
    go, begun, found = Event(), SimpleQueue(), []

    def wait() -> None:
        begun.put(None)
        assert go.wait(60)

    async def ask() -> None:
        reading = Reading()
        async with anyio.create_task_group() as group:
            for _ in range(60):
                group.start_soon(reading.run, wait)
            await anyio.to_thread.run_sync(lambda: [begun.get() for _ in range(60)])
            found.append(await anyio.to_thread.run_sync(lambda: "a search"))
            go.set()

    anyio.run(ask)
    assert found == ["a search"]


def test_who_leaves_is_not_kept_waiting_by_a_thread():
    go = Event()

    async def ask() -> None:
        with anyio.move_on_after(0.01) as left:
            await Reading().run(go.wait, 60)
        go.set()
        assert left.cancelled_caught

    with ThreadPoolExecutor(1) as pool:
        pool.submit(anyio.run, ask).result(30)
