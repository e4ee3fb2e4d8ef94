"""Sockets that services listen on."""

from __future__ import annotations

import asyncio
import socket

from databank.up import listen


async def _accepted_option(listener: socket.socket) -> int:
    """Return TCP_NODELAY of the server's end of a connection."""
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end: socket.socket = writer.get_extra_info("socket")
        accepted.set_result(end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    server = await asyncio.start_server(answer, sock=listener)
    async with server:
        _, writer = await asyncio.open_connection(*listener.getsockname())
        option = await asyncio.wait_for(accepted, timeout=10)
        writer.close()
        await writer.wait_closed()
    return option


def test_answers_are_sent_at_once_and_not_held_for_an_acknowledgement() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert asyncio.run(_accepted_option(listener)) == 1
