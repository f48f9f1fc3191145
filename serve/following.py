"""How an application comes to what it serves, and follows the store: in the background, while it answers.

Knows no route.

Decisions: docs/decisions/generations-and-takedowns.md, serving.md.
"""

import asyncio
import logging

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import State

from base.errors import RalmError
from serve.answering.answerer import Answerer

# Between two looks at whether the store has a new generation, in seconds.
REFRESH = 0.5
# What takes longer to open is not waited for with what it takes down, in seconds.
PATIENCE = 10.0
_log = logging.getLogger("uvicorn.error")


async def load_and_follow(state: State, seconds: float) -> None:
    """Let an application's state have an `answerer`, or a `failure`; from then on it follows the store.

    `load` of the state is called where there is no answerer yet: it sets it.
    """
    if state.answerer is None:
        try:
            await run_in_threadpool(state.load)
        except Exception as error:  # noqa: BLE001  (whoever runs the application raises it)
            state.failure = error
            return
    await _follow(state, state.answerer, seconds)


async def _follow(state: State, answerer: Answerer, seconds: float) -> None:
    """Go over to new generations; hide what one hides, too, that cannot be opened, or not for a while."""
    clock, opening = asyncio.get_running_loop().time, None
    wait, began, due = seconds, 0.0, 0.0
    while True:
        await asyncio.sleep(seconds)
        if opening is None and clock() >= due:
            opening, began = asyncio.create_task(run_in_threadpool(answerer.refresh)), clock()
        ended = opening is not None and opening in (await asyncio.wait({opening}, timeout=seconds))[0]
        slow = opening is not None and clock() - began > PATIENCE
        if opening is not None and ended:
            try:
                opening.result()
                state.behind, wait = None, seconds
            except Exception as error:  # noqa: BLE001  (who stops looking shows for ever what is taken down)
                # The generation that is open goes on being served. Trying may read much: ever more seldom.
                wait = min(60.0, 2 * wait)
                reason = str(error) or type(error).__name__
                if reason != state.behind:
                    state.behind = reason
                    _log.warning("The store's new generation cannot be opened: %s", reason)
            opening, due = None, clock() + wait - seconds
        if slow or state.behind is not None:
            try:
                await run_in_threadpool(answerer.hide)
            except (RalmError, OSError):
                pass  # What cannot be read for it, opening tells of.
            except Exception:  # noqa: BLE001  (who stops looking shows for ever what is taken down)
                _log.exception("What is taken down could not be hidden.")
