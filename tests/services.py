"""A service in this process, on a real loopback socket."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import uvicorn
from fastapi import FastAPI

from serve.listening import listen


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """Its address. Whoever asks at once waits in the socket's queue until it answers."""
    with listen("127.0.0.1", 0) as listener:
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, loop="asyncio", log_level="critical"))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
