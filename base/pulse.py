"""What a thread does again and again beside other work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread


@contextmanager
def every(seconds: float, call: Callable[[], object]) -> Iterator[None]:
    """Call a function every so many seconds until what is done within is over; not at its beginning."""
    over = Event()

    def go_on() -> None:
        while not over.wait(seconds):
            call()

    thread = Thread(target=go_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
