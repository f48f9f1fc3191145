"""The application on a Ray that runs: from a command, until a signal.

Decisions: docs/decisions/scaling-out.md.
"""

import logging
import re
import signal
from collections.abc import Callable
from threading import Event
from types import FrameType

from ray import serve
from ray.serve.exceptions import RayServeException

from base.errors import RalmError

NAME = "ralm"


def run(application: serve.Application, host: str, port: int, told: Callable[[], None]) -> None:
    """Serve at an address until SIGINT or SIGTERM; `told` hears once all is loaded.

    Other applications of the same cluster stay. Raises RalmError if this one cannot be started.
    """
    over = Event()

    def stop(number: int, frame: FrameType | None) -> None:
        over.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        start(application, host, port)
        told()
        over.wait()
        # It ends whether or not this process waits for it.
        serve.delete(NAME, _blocking=False)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def start(application: serve.Application, host: str, port: int) -> None:
    """Let an application answer at an address, and wait until all of it is loaded."""
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    serve.start(http_options={"host": host, "port": port}, proxy_location="HeadOnly")
    if NAME in serve.status().applications:
        raise RalmError(
            f"This cluster has an application {NAME} already: end it (`serve delete {NAME}`), or change it "
            "by a config (`serve deploy`)."
        )
    try:
        serve.run(application, name=NAME, route_prefix="/")
    except (RuntimeError, RayServeException) as error:
        reason = _reason(error)
        serve.delete(NAME, _blocking=False)
        raise RalmError(f"The service could not be started on Ray: {reason}") from None


def _reason(error: Exception) -> str:
    """Why: what a replica raised as it was made, else what Ray Serve says."""
    status = serve.status().applications.get(NAME)
    told = [one.message for one in status.deployments.values()] if status else []
    raised = [
        found for text in told for found in re.findall(r"^[\w.]+(?:Error|Unavailable): (.*)$", text, re.M)
    ]
    return raised[-1] if raised else str(error)
