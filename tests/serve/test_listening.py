"""The listening socket: what is accepted on it sends at once, and what cannot be listened on is said."""

import asyncio
import socket

import pytest

from base.errors import RalmError
from serve.listening import listen


def test_what_is_accepted_does_not_wait_for_acknowledgements():
    async def accepted() -> int:
        """TCP_NODELAY of a connection that asyncio, under uvicorn, has accepted."""
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            found.set_result(
                writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            )
            writer.close()

        with listen("127.0.0.1", 0) as listener:
            server = await asyncio.start_server(take, sock=listener)
            async with server:
                _, writer = await asyncio.open_connection(*listener.getsockname())
                writer.close()
                return await found

    assert asyncio.run(accepted()) == 1


def test_what_cannot_be_listened_on_is_said():
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RalmError, match=f"127.0.0.1:{port} cannot be listened on .* choose --port"):
            listen("127.0.0.1", port)
    with pytest.raises(RalmError, match="choose --port"):
        listen("127.0.0.1", 99999)
    with pytest.raises(RalmError, match="choose --port"):
        listen("no such host", 8000)
