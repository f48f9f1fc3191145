"""Requests a second over one kept connection: the socket that the server listens on beside a plain one.

    python benchmarks/service/keep_alive.py

An application that replies at once, by uvicorn, asked by a client that keeps its connection: what is measured
is the way of a request and its reply.
"""

import argparse
import socket
import time
from threading import Thread

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from serve.listening import listen


def plain() -> socket.socket:
    """A listening socket as Python makes it unless told more."""
    found = socket.socket()
    found.bind(("127.0.0.1", 0))
    return found


async def reply(_: Request) -> JSONResponse:
    """A reply with a body."""
    return JSONResponse({"found": "x" * 1000})


def milliseconds(listener: socket.socket, requests: int) -> list[float]:
    """What each request of one connection took."""
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=[Route("/", reply)]), log_level="warning"))
    thread = Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    took = []
    with socket.create_connection(listener.getsockname()) as client:
        for _ in range(requests):
            started = time.perf_counter()
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = b""
            while b"xxx" not in received or not received.endswith(b'"}'):
                received += client.recv(1 << 16)
            took.append(1000 * (time.perf_counter() - started))
    server.should_exit = True
    thread.join()
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100)
    args = parser.parse_args()
    for name, listener in (("a plain socket", plain()), ("serve.listening", listen("127.0.0.1", 0))):
        first, *later = milliseconds(listener, args.requests)
        later.sort()
        print(f"{name:16} first {first:6.2f} ms, later {later[len(later) // 2]:6.2f} ms (median)")


if __name__ == "__main__":
    main()
