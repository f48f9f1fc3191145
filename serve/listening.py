"""The socket that the server listens on.

Decisions: docs/decisions/serving.md.
"""

import socket

from base.errors import RalmError


def listen(host: str, port: int) -> socket.socket:
    """A bound TCP socket; port 0 is any that is free. Raises RalmError if it cannot be had.

    The protocol is named: asyncio sets TCP_NODELAY on what a socket accepts only if it says TCP. Without it
    the second of a reply's two writes waits until the client acknowledges the first, which clients that keep
    their connection put off for 40 ms.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise RalmError(f"{host}:{port} cannot be listened on ({error}): choose --port.") from None
    return listener
