"""Requests over HTTP, each on a connection of its own, which another thread may end. Knows no retries.

Decisions: docs/decisions/remote-readers.md.
"""

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from typing import Any

import httpx

from base.errors import RalmError
from lm.backends.remote.events import events
from lm.backends.remote.failures import Broken, Malformed, is_html, message, require_ok

# Seconds: to connect; between two pieces of a stream, once the first has come.
CONNECT = 10.0
BETWEEN = 120.0
# No answer is longer: a server that sends without end does not fill the memory.
MAX_BYTES = 256 << 20

Json = Mapping[str, Any]


class Connection:
    """The socket of one request. `end` closes it from any thread, for nobody wants more."""

    def __init__(self) -> None:
        self.ended = False
        self._socket: socket.socket | None = None
        self._changing = Lock()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Told by httpx what happens: a connection that is made gives its socket."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            with self._changing:
                self._socket = info["return_value"].get_extra_info("socket")
            if self.ended:
                self.cut()

    def end(self) -> None:
        self.ended = True
        self.cut()

    # Of whoever asks, and goes.
    leave = end

    def cut(self) -> None:
        """Let whoever reads from it find its end. Closing alone would not wake the thread that reads."""
        with self._changing:
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)


class Watch:
    """Cuts a connection on which nothing has come for a while. httpx keeps one time for all of a body."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self.late = False
        self._connection, self._seconds = connection, seconds
        self._since: float | None = None
        self._over = Event()
        Thread(target=self._watch, daemon=True).start()

    def begin(self) -> None:
        """From now on something is waited for."""
        self._since = time.monotonic()

    def rest(self) -> None:
        """What came is being read: that may take as long as it likes."""
        self._since = None

    def end(self) -> None:
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(self._left()):
            if self._left() <= 0:
                self.late = True
                self._connection.cut()
                return

    def _left(self) -> float:
        since = self._since
        return self._seconds if since is None else max(0.0, since + self._seconds - time.monotonic())


class Wire:
    """Sends requests with one key. Raises Broken for what may be tried again, Rejected for what may not."""

    def __init__(self, timeout: float, key: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`timeout` in seconds, for a whole answer or the first piece of one."""
        if not (key.isascii() and key.isprintable()):
            raise RalmError("The variable RALM_READER_KEY holds characters that no key has: set it anew.")
        self._timeout, self._key, self._clock = timeout, key, clock
        # A kept connection may be closed by the server just as it is used again: none is kept.
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(timeout, connect=min(CONNECT, timeout), pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )
        self._running: set[Connection] = set()
        self._over = False
        self._changing = Lock()

    def end(self) -> None:
        """End all requests that run, and those that come."""
        with self._changing:
            self._over = True
            for one in self._running:
                one.end()

    def ask(self, url: str, body: Json | None, connection: Connection | None = None) -> Any:
        """The JSON of an answer; of a GET without a body."""
        started = self._clock()
        with self._sent(url, body, connection or Connection()) as response:
            found = bytearray()
            for chunk in response.iter_bytes():
                found += chunk
                if self._clock() - started > self._timeout:
                    raise Broken(f"no whole answer in {self._timeout:g} seconds")
                if len(found) > MAX_BYTES:
                    raise Malformed(f"more than {MAX_BYTES >> 20} MiB")
            self._require_ok(url, response, bytes(found))
            return self._json(bytes(found), response.headers.get("content-type", ""))

    def stream(self, url: str, body: Json, connection: Connection) -> Iterator[Any]:
        """The JSON of each event of an answer, up to its end or `[DONE]`."""
        with self._sent(url, body, connection) as response:
            kind = response.headers.get("content-type", "")
            if not response.is_success or "event-stream" not in kind:
                found = response.read()
                self._require_ok(url, response, found)
                raise Malformed(
                    f"{'HTML' if is_html(found, kind) else kind or 'something'} instead of a stream"
                )
            yield from self._events(response, connection)

    def _events(self, response: httpx.Response, connection: Connection) -> Iterator[Any]:
        last, watch = self._clock(), None
        try:
            for data in events(response.iter_bytes()):
                if data == "[DONE]":
                    return
                if data:
                    last = self._clock()
                    # The first piece may wait behind other requests, the next ones come at the model's pace.
                    watch = watch or Watch(connection, min(BETWEEN, self._timeout))
                    watch.rest()
                    yield self._json(data.encode(), "")
                    watch.begin()
                elif self._clock() - last > self._timeout:
                    raise Broken(f"nothing but signs of life for {self._timeout:g} seconds")
        except (httpx.TransportError, Broken):
            if watch and watch.late:
                raise Broken("nothing more in time") from None
            raise
        finally:
            if watch:
                watch.end()

    @contextmanager
    def _sent(self, url: str, body: Json | None, connection: Connection) -> Iterator[httpx.Response]:
        with self._changing:
            self._running.add(connection)
            if self._over:
                connection.end()
        try:
            with self._client.stream(
                "GET" if body is None else "POST", url, json=body, extensions={"trace": connection.trace}
            ) as response:
                yield response
        except httpx.TimeoutException as error:
            what = "no connection" if isinstance(error, httpx.ConnectTimeout) else "nothing more"
            raise Broken(f"{what} in time") from None
        except httpx.TransportError as error:
            raise Broken(" ".join(str(error).split()) or type(error).__name__) from None
        except httpx.DecodingError:
            raise Malformed("an answer that cannot be decompressed") from None
        finally:
            with self._changing:
                self._running.discard(connection)

    def _require_ok(self, url: str, response: httpx.Response, body: bytes) -> None:
        # Some servers repeat a wrong key in their message.
        if self._key:
            body = body.replace(self._key.encode(), b"***")
        require_ok(url, response.status_code, response.headers, body)

    @staticmethod
    def _json(body: bytes, kind: str) -> Any:
        if is_html(body, kind):
            raise Malformed("HTML instead of JSON")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise Malformed(f"no JSON: {message(body[:80])!r}") from None
