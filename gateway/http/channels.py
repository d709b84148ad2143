"""aiohttp's HTTP client over SSH: each upstream connection is a `direct-tcpip` channel of the machine's SSH connection.

The URL's host names the tunnel (a lease), its port the server's port on the machine's own loopback. Nothing listens
anywhere on this side, and flow control goes end to end: a client that reads slowly closes the channel's window.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import asyncssh
from aiohttp import ClientConnectorError, ClientRequest, ClientTimeout
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import BaseConnector
from aiohttp.tracing import Trace

WINDOW = 512 * 1024
"""Bytes that the machine may send ahead of a slow reader, per channel."""

IDLE_SECONDS = 3.0
"""Shorter than model servers allow an idle connection (uvicorn: 5 s), so that no request meets a closing one."""

OpenConnection = Callable[[str], Awaitable[asyncssh.SSHClientConnection]]


class ChannelConnector(BaseConnector):
    """Pools channels by tunnel and port. `connection_to` gives the tunnel's SSH connection by its name, or raises."""

    def __init__(self, connection_to: OpenConnection) -> None:
        super().__init__(limit=0, keepalive_timeout=IDLE_SECONDS)
        self._connection_to = connection_to

    async def _create_connection(
        self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout
    ) -> ResponseHandler:
        handler = self._factory()
        async with asyncio.timeout(timeout.sock_connect):
            connection = await self._connection_to(req.url.host or "")
            opening = asyncio.ensure_future(_open(connection, handler, req.url.port or 80))
            try:
                await asyncio.shield(opening)
            except asyncio.CancelledError:
                opening.add_done_callback(_close_unused)
                raise
            except (OSError, asyncssh.Error) as error:
                raise ClientConnectorError(req.connection_key, OSError(f"no channel: {error}")) from error
        return handler


async def _open(
    connection: asyncssh.SSHClientConnection, handler: ResponseHandler, port: int
) -> asyncssh.SSHTCPChannel[bytes]:
    channel, _ = await connection.create_connection(
        lambda: _Channel(handler), "127.0.0.1", port, encoding=None, window=WINDOW
    )
    return channel


def _close_unused(opening: asyncio.Future[asyncssh.SSHTCPChannel[bytes]]) -> None:
    """A caller left while his channel was being opened; SSH has no way to take that back but to close it afterwards."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().abort()


class _Channel(asyncssh.SSHTCPSession[bytes], asyncio.Transport):
    """An SSH channel as an asyncio transport, for a protocol that was written for sockets."""

    def __init__(self, handler: ResponseHandler) -> None:
        asyncio.Transport.__init__(self)
        self._handler = handler
        self._channel: asyncssh.SSHTCPChannel[bytes]

    # Events of the SSH session, passed to the protocol.

    def connection_made(self, chan: asyncssh.SSHTCPChannel[bytes]) -> None:
        self._channel = chan
        self._handler.connection_made(self)

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self._handler.data_received(data)

    def eof_received(self) -> bool:
        self._handler.eof_received()
        self._channel.close()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        # SSH's own exceptions mean nothing to the protocol above; a lost socket does.
        self._handler.connection_lost(None if exc is None else ConnectionResetError(str(exc)))

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()

    # Calls of the protocol to its transport, passed to the channel.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._channel.write(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self._channel.write(b"".join(list_of_data))

    def pause_reading(self) -> None:
        self._channel.pause_reading()

    def resume_reading(self) -> None:
        self._channel.resume_reading()

    def is_closing(self) -> bool:
        return self._channel.is_closing()

    def close(self) -> None:
        self._channel.close()

    def abort(self) -> None:
        self._channel.abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._channel.get_extra_info(name, default)
