"""The application on a Ray that runs: from a command, until a signal.

Decisions: docs/decisions/scaling-out.md.
"""

import signal
from collections.abc import Callable
from threading import Event
from types import FrameType

from ray import serve
from ray.serve.exceptions import RayServeException

from base.errors import RalmError

NAME = "ralm"


def run(application: serve.Application, host: str, port: int, told: Callable[[], None]) -> None:
    """Serve at an address until SIGINT or SIGTERM, which end it; `told` hears once all is loaded.

    Raises RalmError if it cannot be started.
    """
    over = Event()

    def stop(number: int, frame: FrameType | None) -> None:
        over.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        start(application, host, port)
        told()
        over.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        serve.shutdown()


def start(application: serve.Application, host: str, port: int) -> None:
    """Let an application answer at an address, and wait until all of it is loaded."""
    serve.start(http_options={"host": host, "port": port}, proxy_location="HeadOnly")
    try:
        serve.run(application, name=NAME, route_prefix="/")
    except (RuntimeError, RayServeException) as error:
        reason = str(error).strip().splitlines()[-1]
        raise RalmError(f"The application could not be started on Ray ({reason}).") from None
