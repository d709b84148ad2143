"""Port forwarding through a machine's SSH server: ``-L`` dials inside the machine, ``-R`` listens inside it."""

import asyncio
import contextlib

import asyncssh

from simulator.machines.box import Box

CHUNK = 1 << 16


async def carry(
    box: Box, host: str, port: int, reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]
) -> None:
    """Serve one ``direct-tcpip`` channel."""
    try:
        line = box.make_socket()
        address = "127.0.0.1" if host in ("localhost", "::1", "0.0.0.0", "") else host  # noqa: S104 (compared, not bound)
        await asyncio.get_running_loop().sock_connect(line, (address, box.port_inside(port)))
    except OSError:
        writer.channel.abort()
        return
    inner_reader, inner_writer = await asyncio.open_connection(sock=line)
    await join(reader, writer, inner_reader, inner_writer)


async def join(
    outer_reader: asyncssh.SSHReader[bytes],
    outer_writer: asyncssh.SSHWriter[bytes],
    inner_reader: asyncio.StreamReader,
    inner_writer: asyncio.StreamWriter,
) -> None:
    """Copy both ways until both sides have ended."""
    try:
        await asyncio.gather(_copy(outer_reader, inner_writer), _copy(inner_reader, outer_writer))
    finally:
        outer_writer.close()
        inner_writer.close()


async def _copy(
    source: asyncssh.SSHReader[bytes] | asyncio.StreamReader, target: asyncssh.SSHWriter[bytes] | asyncio.StreamWriter
) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):  # either side may leave at any time
        while data := await source.read(CHUNK):
            target.write(data)
            await target.drain()
        target.write_eof()


class InsideListener(asyncssh.SSHListener):
    """A ``-R`` listener: accepts inside the machine and leads each connection back to the SSH client."""

    def __init__(self, connection: asyncssh.SSHServerConnection, host: str) -> None:
        super().__init__()
        self._connection = connection
        self._host = host
        self._server: asyncio.Server | None = None

    @classmethod
    async def open(
        cls, box: Box, connection: asyncssh.SSHServerConnection, host: str, port: int
    ) -> "InsideListener | bool":
        listener = cls(connection, host)
        address = host if host.count(".") == 3 else "127.0.0.1"
        try:
            at = box.listen(address, port)
        except OSError:
            return False
        listener._server = await asyncio.start_server(listener._accept, sock=at)
        return listener

    def get_port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1]) if self._server else 0

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        origin = writer.get_extra_info("peername")
        try:
            outer_reader, outer_writer = await self._connection.open_connection(
                self._host, self._asked_port, origin[0], origin[1]
            )
        except (OSError, asyncssh.Error):
            writer.close()
            return
        await join(outer_reader, outer_writer, reader, writer)

    @property
    def _asked_port(self) -> int:
        return self.get_port()

    def close(self) -> None:
        if self._server:
            self._server.close()

    async def wait_closed(self) -> None:
        if self._server:
            await self._server.wait_closed()
