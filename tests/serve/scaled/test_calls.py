"""Calls of a deployment whose replicas are lost, or raise: as a handle of Ray Serve shows it."""

import asyncio

import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError, TaskCancelledError
from ray.serve.exceptions import DeploymentUnavailableError

from base.errors import Busy, RalmError, Unavailable
from serve.scaled.calls import Calls, is_lost

LOST = ActorDiedError()


def raised(error):
    """What a caller is given of what a replica has raised."""
    return RayTaskError("method", "traceback", error)


class Response:
    """One call: what it gives, piece by piece if need be; an exception is raised."""

    def __init__(self, pieces):
        self.pieces, self.cancelled = iter(pieces), False

    def result(self, timeout_s):
        assert timeout_s > 0
        return self._next()

    def _next(self):
        piece = next(self.pieces)
        if isinstance(piece, Exception):
            raise piece
        return piece

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return self._next()
        except StopIteration:
            raise StopAsyncIteration from None

    def cancel(self):
        self.cancelled = True


class Handle:
    """A deployment whose calls give one thing after another."""

    def __init__(self, *calls):
        self.responses, self.left = [], list(calls)

    def __getattr__(self, method):
        return self

    def options(self, stream):
        return self

    def remote(self, *arguments):
        self.responses.append(Response(self.left.pop(0)))
        return self.responses[-1]


@pytest.mark.parametrize("error", [LOST, ActorUnavailableError("gone", None)])
def test_what_a_lost_replica_was_asked_is_asked_once_more(error):
    handle = Handle([error], ["found"])
    assert Calls(handle, "The encoder").ask("method", 1) == "found"
    assert not any(one.cancelled for one in handle.responses)
    handle = Handle([error], [error], ["never asked"])
    with pytest.raises(Unavailable, match="The encoder was lost twice"):
        Calls(handle, "The encoder").ask("method")
    assert len(handle.responses) == 2


def test_what_a_replica_raises_is_raised_as_it_was_and_not_asked_again():
    for error in (RalmError("a sentence"), Busy("many wait", 7)):
        handle = Handle([raised(error)])
        with pytest.raises(type(error)) as found:
            Calls(handle, "The reader").ask("method")
        assert found.value is error
    with pytest.raises(RayTaskError):
        Calls(Handle([raised(ValueError("a defect"))]), "The reader").ask("method")


def test_who_gives_no_answer_in_time_is_unavailable():
    handle = Handle([TimeoutError()])
    with pytest.raises(Unavailable, match="Searcher 0 gives no answer"):
        Calls(handle, "Searcher 0").ask("method", patience=0.1)
    assert handle.responses[0].cancelled


def test_only_a_replica_that_is_gone_is_lost():
    assert not any(is_lost(one) for one in (raised(RalmError("x")), TaskCancelledError(), TimeoutError()))
    assert is_lost(DeploymentUnavailableError(None))


def taken(calls, begun):
    """The pieces of a stream, noted where `begun` sees them."""

    async def take():
        async for piece in calls.pieces("write", begun=lambda: bool(begun)):
            begun.append(piece)

    asyncio.run(take())
    return begun


def test_a_stream_is_begun_anew_only_if_nothing_of_it_has_come():
    assert taken(Calls(Handle([LOST], ["a", "b"]), "The reader"), []) == ["a", "b"]
    found = []
    with pytest.raises(Unavailable):
        taken(Calls(Handle(["a", LOST], ["a", "b"]), "The reader"), found)
    assert found == ["a"]


def test_a_stream_that_is_left_is_cancelled_and_one_that_has_ended_is_not():
    async def first(calls):
        pieces = calls.pieces("write", begun=lambda: True)
        found = await anext(pieces)
        await pieces.aclose()
        return found

    handle = Handle(["a", "b"])
    assert asyncio.run(first(Calls(handle, "The reader"))) == "a"
    assert handle.responses[0].cancelled
    handle = Handle(["a"])
    assert taken(Calls(handle, "The reader"), []) == ["a"]
    assert not handle.responses[0].cancelled
