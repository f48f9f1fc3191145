"""Servers as their users start them: processes of their own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx


@contextmanager
def serving(store: Path, *options: str) -> Iterator[str]:
    """The address of a server of a store, which is up."""
    command = [sys.executable, "-m", "pipelines.cli", "serve", str(store), "--port", "0", *options]
    environment = os.environ | {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        found = re.search(r"http://\S+:\d+", server.stdout.readline())
        assert found
        for attempt in range(1200):
            try:
                if httpx.get(f"{found[0]}/ready", timeout=1).status_code == 200:
                    break
            except httpx.TransportError:
                assert server.poll() is None, "the server ended"
                assert attempt < 1199
        try:
            yield found[0]
        finally:
            server.terminate()
