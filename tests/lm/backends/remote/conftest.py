"""A server that answers as it is told to, and time that nobody waits for."""

from collections.abc import Iterator

import pytest

from tests.lm.backends.remote.servers import FakeServer, FakeTime, serving


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving(FakeServer()) as found:
        yield found


@pytest.fixture
def other() -> Iterator[FakeServer]:
    """A second replica."""
    with serving(FakeServer()) as found:
        yield found


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()
