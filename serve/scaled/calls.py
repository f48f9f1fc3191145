"""Calls of a deployment: one more try where a replica is lost, and errors of ours as they were raised.

Knows no model and no store.

Decisions: docs/decisions/scaling-out.md.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import CancelledError
from typing import Any

from ray.exceptions import RayError, RayTaskError, TaskCancelledError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from base.errors import RalmError, Unavailable

# What a call may take, in seconds, a lost replica's new start included: a request's own limit is below it.
PATIENCE = 600.0
_TRIES = 2


class Calls:
    """What is asked of the replicas of one deployment. Safe between threads."""

    def __init__(self, handle: DeploymentHandle, what: str) -> None:
        """`what` names it in errors."""
        self._handle, self._what = handle, what

    def begin(self, method: str, *arguments: Any) -> Any:
        """A call that has been begun: a response of Ray Serve."""
        return getattr(self._handle, method).remote(*arguments)

    def ask(self, method: str, *arguments: Any, patience: float = PATIENCE) -> Any:
        """What a replica replies; another one, if it is lost. Raises what it raises, or Unavailable."""
        return self.ended(self.begin(method, *arguments), method, *arguments, patience=patience)

    def ended(self, begun: Any, method: str, *arguments: Any, patience: float = PATIENCE) -> Any:
        """The reply of a call that was begun so; else as `ask`."""
        by = time.monotonic() + patience
        for left in reversed(range(_TRIES)):
            try:
                return begun.result(timeout_s=max(0.001, by - time.monotonic()))
            except Exception as error:  # noqa: BLE001  (raised again, unless another replica is asked)
                if isinstance(error, TimeoutError):
                    begun.cancel()  # Nobody waits for it any more.
                if not (is_lost(error) and left):
                    raise self._said(error) from None
            begun = self.begin(method, *arguments)
        raise AssertionError  # The last try returns or raises.

    def everywhere(self, method: str, *arguments: Any, patience: float = PATIENCE) -> list[Any]:
        """What each replica replies. If one of them is lost, what another one does."""
        try:
            found: list[Any] = self._handle.broadcast(method, *arguments).results(timeout_s=patience)
        except Exception as error:  # noqa: BLE001  (raised again, unless another replica is asked)
            if not is_lost(error):
                raise self._said(error) from None
            found = []
        return found or [self.ask(method, *arguments, patience=patience)]

    async def pieces(
        self, method: str, *arguments: Any, begun: Callable[[], bool]
    ) -> AsyncGenerator[Any, None]:
        """What a replica gives piece by piece. If it is lost before `begun`, another one is asked.

        Whoever reads no further lets the replica stop.
        """
        for left in reversed(range(_TRIES)):
            response = getattr(self._handle.options(stream=True), method).remote(*arguments)
            try:
                async for piece in response:
                    yield piece
                return
            except (GeneratorExit, asyncio.CancelledError):
                response.cancel()
                raise
            except Exception as error:  # noqa: BLE001  (raised again, unless another replica is asked)
                if not (is_lost(error) and left) or begun():
                    raise self._said(error) from None

    def _said(self, error: BaseException) -> BaseException:
        if isinstance(error, RayTaskError) and isinstance(error.cause, RalmError):
            return error.cause
        if is_lost(error):
            return Unavailable(f"{self._what} was lost twice, and is being started again: ask again.")
        if isinstance(error, TimeoutError):
            return Unavailable(f"{self._what} gives no answer: ask again a little later.")
        return error


def is_lost(error: BaseException) -> bool:
    """Whether a call has failed since its replica, or the way to it, is gone."""
    ours = isinstance(error, RayTaskError | TaskCancelledError | TimeoutError | CancelledError)
    return isinstance(error, RayError | RayServeException) and not ours
