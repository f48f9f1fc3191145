"""An S3 server on loopback, a proxy before it that cuts connections, and a store there as machines see it."""

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from datastore.objects.origin import locate

_BLOCK = 1 << 14


@dataclass
class ObjectServer:
    """A server that speaks S3, and a client of it for looking behind ralm's back."""

    port: int
    client: Any
    _numbers: Iterator[int] = field(default_factory=count)

    def bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"bucket-{next(self._numbers)}"
        self.client.create_bucket(Bucket=name)
        return name

    def put(self, bucket: str, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=bucket, Key=key, Body=data)

    def put_folder(self, bucket: str, prefix: str, folder: Path) -> None:
        """Put every file of a folder under a prefix."""
        for path in folder.rglob("*"):
            if path.is_file():
                self.put(bucket, f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def tree(self, bucket: str) -> dict[str, bytes]:
        """Everything in a bucket, by key."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return {key: self.client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


def _one_at_a_time(server: Any) -> None:
    """Requests after one another: moto looks at a put's condition and puts in two steps, S3 in one.

    Straight to moto's S3: finding out for each request which service it is for takes as long as answering it.
    """
    from moto.moto_server.werkzeug_app import create_backend_app

    dispatch, lock = create_backend_app("s3"), threading.Lock()

    def answer(environ: Any, start_response: Any) -> list[bytes]:
        with lock:
            return list(dispatch(environ, start_response))

    server.app = answer


@contextmanager
def object_server() -> Iterator[ObjectServer]:
    """A server for as long as the context lasts. The environment must hold credentials, any will do."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _one_at_a_time(server._server)
    _, port = server.get_host_and_port()
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
    try:
        yield ObjectServer(port, client)
    finally:
        client.close()
        server.stop()


class CuttingProxy:
    """Passes TCP connections on to a server.

    While `up` or `down` is set, a connection is closed once so many bytes went to the server or came from it.
    `cuts` counts how often that was.
    """

    def __init__(self, target: int) -> None:
        self.up: int | None = None
        self.down: int | None = None
        self.cuts = 0
        self._target = target
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    def _start(self, target: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open |= {client, server}
                self._start(self._pass, client, server, "up")
                self._start(self._pass, server, client, "down")

    def _pass(self, source: socket.socket, target: socket.socket, way: str) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(_BLOCK):
                limit = getattr(self, way)
                if limit is not None and passed + len(data) > limit:
                    target.sendall(data[: max(0, limit - passed)])
                    self.cuts += 1
                    break
                target.sendall(data)
                passed += len(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for one in self._open:
            one.close()


@dataclass(frozen=True)
class Remote:
    """A store under a prefix of a bucket, which several machines open: each has caches of its own.

    `machine` says on which one this process is from then on.
    """

    objects: ObjectServer
    bucket: str
    machine: Callable[[int], object]
    prefix: str = "store"
    options: str = ""

    @property
    def address(self) -> str:
        """What the store is called."""
        return f"s3://{self.bucket}/{self.prefix}{self.options}"

    def on(self, machine: int) -> Path:
        """Go to a machine: the folder of its cache of the store."""
        self.machine(machine)
        return locate(self.address)

    def at(self, prefix: str) -> "Remote":
        """Another store in the same bucket."""
        return replace(self, prefix=prefix)

    def through(self, proxy: CuttingProxy) -> "Remote":
        """The same store, by way of a proxy."""
        return replace(self, options=f"?endpoint_override=127.0.0.1:{proxy.port}&scheme=http")

    def put(self, key: str, data: bytes) -> None:
        """Put an object of the bucket behind ralm's back; the key counts from the bucket on."""
        self.objects.put(self.bucket, key, data)

    def delete(self, key: str) -> None:
        """Delete an object of the bucket behind ralm's back."""
        self.objects.client.delete_object(Bucket=self.bucket, Key=key)

    def tree(self) -> dict[str, bytes]:
        """Everything in the bucket, by key."""
        return self.objects.tree(self.bucket)
