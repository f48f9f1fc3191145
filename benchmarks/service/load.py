"""A load generator: so many clients that ask again as soon as they are answered, in a process of its own.

    python benchmarks/service/load.py URL ROUTE --clients 32 --seconds 5 < BODIES

With --rate they ask together so often a second instead, and wait no shorter where one is late: milliseconds
count from when it was to be asked.

It reads request bodies, a line each, and takes them in turn. Prints one line of JSON: requests, errors,
seconds, its own CPU seconds and, of each request, milliseconds to the first byte and to the last. It speaks
just enough HTTP/1.1 to take few of the cores that it shares with the server.
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Measured:
    """Milliseconds to the first and the last byte of each answer, tokens that answers hold, errors."""

    first: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    tokens: int = 0
    errors: int = 0


class Client:
    """One client on one connection, which is opened again where the server closes it."""

    def __init__(self, host: str, port: int, route: str) -> None:
        self._host, self._port = host, port
        self._head = f"POST {route} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, body: bytes, measured: Measured, due: float) -> None:
        """Ask once, what was to be asked when it was `due`."""
        kept = self._streams is not None
        try:
            reader, head = await self._sent(body)
        except (ConnectionError, asyncio.IncompleteReadError):
            if not kept:
                raise
            self.close()  # The server closes what rests, perhaps just now.
            reader, head = await self._sent(body)
        if "text/event-stream" in head:
            first, tokens = await _events(reader, measured)
            measured.tokens += tokens
        elif "content-length: " in head:
            await reader.readexactly(int(head.partition("content-length: ")[2].partition("\r\n")[0]))
            first = time.perf_counter()
        else:
            raise SystemExit(f"A reply of a kind that is not known here: {head}")
        if head.split()[1] == "200":
            measured.first.append(1000 * (first - due))
            measured.last.append(1000 * (time.perf_counter() - due))
        else:
            measured.errors += 1
        if "connection: close" in head or head.startswith("http/1.0"):
            self.close()

    async def _sent(self, body: bytes) -> tuple[asyncio.StreamReader, str]:
        """Send a request, and the head of its reply."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port, limit=1 << 24)
        reader, writer = self._streams
        writer.write(f"{self._head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return reader, (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _events(reader: asyncio.StreamReader, measured: Measured) -> tuple[float, int]:
    """When the first text of a stream of chat came, and the tokens that its usage tells."""
    first, tokens = 0.0, 0
    while (size := int(await reader.readline(), 16)) > 0:
        chunk = await reader.readexactly(size + 2)
        for line in chunk.splitlines():
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if "error" in event:
                measured.errors += 1
            if not first and any(one["delta"].get("content") for one in event.get("choices", ())):
                first = time.perf_counter()
            tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
    await reader.readline()
    return first or time.perf_counter(), tokens


@dataclass
class Load:
    """So many clients for so many seconds, who ask as soon as they are answered, or `rate` times a second."""

    clients: int
    seconds: float
    rate: float | None = None

    async def put_on(self, url: str, route: str, bodies: Iterator[bytes]) -> Measured:
        """Let them ask; those that have asked are waited for."""
        where, measured = urlsplit(url), Measured()
        began = time.perf_counter()
        turns = itertools.count()

        def due() -> float:
            return time.perf_counter() if self.rate is None else began + next(turns) / self.rate

        async def one() -> None:
            client = Client(str(where.hostname), int(where.port or 80), route)
            while (at := due()) < began + self.seconds:
                if self.rate is not None:
                    await asyncio.sleep(at - time.perf_counter())
                await client.ask(next(bodies), measured, at)
            client.close()

        await asyncio.gather(*(one() for _ in range(self.clients)))
        return measured


def main() -> None:
    """Load a server and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("route")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=float, help="requests a second, of all clients together")
    args = parser.parse_args()
    bodies = itertools.cycle([line.strip() for line in sys.stdin.buffer if line.strip()])
    started, used = time.perf_counter(), time.process_time()
    measured = asyncio.run(Load(args.clients, args.seconds, args.rate).put_on(args.url, args.route, bodies))
    found = {
        "requests": len(measured.last),
        "errors": measured.errors,
        "tokens": measured.tokens,
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - used,
        "first": sorted(measured.first),
        "last": sorted(measured.last),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
