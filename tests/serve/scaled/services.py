"""A service on the Ray of these tests: a real application of Ray Serve, real HTTP."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from lm.backends.reader_choice import ReaderChoice
from serve.admission.keys import Key
from serve.settings import ServiceSettings

KEY = {"Authorization": "Bearer a-key"}
# What they may take on a machine that is shared.
PATIENCE = 120.0


@contextmanager
def scaled(folder: Path, *stores: Path, replicas: int = 1, **more: Any) -> Iterator[str]:
    """The address of a service of stores, with the tiny reader of `folder`; its key is "a-key"."""
    from ray import serve

    from serve.listening import listen
    from serve.scaled.application import built
    from serve.scaled.front import Served
    from serve.scaled.running import start

    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    settings = ServiceSettings(keys=(Key.of("a-key", "tests"),), log=folder.parent / "log.jsonl")
    named = tuple(str(one) for one in stores)
    application = built(
        Served(named, ReaderChoice(str(folder), "none"), settings, **more), {"num_cpus": 0.01}, replicas
    )
    try:
        start(application, "127.0.0.1", port)
        yield f"http://127.0.0.1:{port}"
    finally:
        serve.shutdown()


def wait_until(come: Any) -> None:
    """Ask until something is true; fail if it does not become so."""
    by = time.monotonic() + PATIENCE
    while not come():
        assert time.monotonic() < by
        time.sleep(0.05)


def replicas(name: str) -> list[psutil.Process]:
    """The processes of a deployment's replicas, as Ray calls them."""
    family = psutil.Process().children(recursive=True)
    found = []
    for one in family:
        try:
            if one.cmdline()[:1] and one.cmdline()[0].startswith(f"ray::ServeReplica:ralm:{name}"):
                found.append(one)
        except psutil.Error:
            continue  # It has just ended.
    return found


def kill(name: str) -> None:
    """End one replica of a deployment, as a machine that fails does."""
    os.kill(replicas(name)[0].pid, signal.SIGKILL)


def post(url: str, path: str, body: object) -> httpx.Response:
    """What the service replies."""
    return httpx.post(f"{url}{path}", json=body, headers=KEY, timeout=PATIENCE)


def events(text: str) -> list[Any]:
    """The data of a stream's events."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]
