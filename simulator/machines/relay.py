"""A mapped port: connections taken on this computer and led to a port in the machine, with back-pressure both ways."""

import asyncio
import socket
from collections.abc import Callable
from typing import cast

MakeSocket = Callable[[], socket.socket]
Count = Callable[[int], None]


class ByteCount:
    """Bytes through a machine's ports, counted until somebody takes the count."""

    def __init__(self) -> None:
        self._up = 0
        self._down = 0

    def add_up(self, size: int) -> None:
        self._up += size

    def add_down(self, size: int) -> None:
        self._down += size

    def take(self) -> tuple[int, int]:
        """Bytes out of the machine and into it."""
        taken = (self._up, self._down)
        self._up = self._down = 0
        return taken


class RelayEnd(asyncio.Protocol):
    """One end of a relayed connection. Until it is joined to the other it keeps what comes.

    A client may speak before the machine is dialled. ``pause_reading()`` in ``connection_made`` does not hold it back
    everywhere: the asyncio of Python 3.11.2 (Debian 12) begins to read right after that call, paused or not. So reading
    is paused at the first piece, which works on every version and bounds what is kept: a read takes 256 KiB at most.
    """

    def __init__(self, count: Count) -> None:
        """``count`` is told the size of every piece that comes in."""
        self.transport: asyncio.Transport | None = None
        self._count = count
        self._other: RelayEnd | None = None
        self._early: list[bytes] = []
        self._early_end = False

    def join(self, other: "RelayEnd") -> None:
        """From now on what comes here goes to the other end, beginning with what came already."""
        self._other = other
        if self.transport:
            self.transport.resume_reading()  # first, as the writes below may well pause it again
        for piece in self._early:
            other.send(piece)
        self._early.clear()
        if self._early_end:
            other.send_end()

    def send(self, data: bytes) -> None:
        if self.transport:
            self.transport.write(data)

    def send_end(self) -> None:
        if self.transport and self.transport.can_write_eof():
            self.transport.write_eof()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._count(len(data))
        if self._other:
            self._other.send(data)
            return
        self._early.append(data)
        if self.transport:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        if self._other:
            self._other.send_end()
        else:
            self._early_end = True
        return True

    def pause_writing(self) -> None:
        if self._other and self._other.transport:
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other and self._other.transport:
            self._other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._other and self._other.transport:
            self._other.transport.close()


class ClientEnd(RelayEnd):
    """The end that a client reached; it dials the machine when the connection stands."""

    def __init__(self, relay: "PortRelay") -> None:
        super().__init__(relay.traffic.add_down)
        self._relay = relay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        front = cast(asyncio.Transport, transport)
        self._relay.open.add(front)
        self._dialling = asyncio.get_running_loop().create_task(self._dial(front))

    async def _dial(self, front: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            line = self._relay.make_socket()
            await loop.sock_connect(line, self._relay.target)
        except OSError:
            front.abort()  # nobody listens in the machine: the client sees a reset, as through docker
            return
        back = RelayEnd(self._relay.traffic.add_up)
        back.join(self)
        behind, _ = await loop.create_connection(lambda: back, sock=line)
        if front.is_closing():
            behind.close()
        else:
            self.join(back)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.transport:
            self._relay.open.discard(self.transport)
        super().connection_lost(exc)


class PortRelay:
    """One mapped port: listens at a socket and leads every connection to ``target`` through ``make_socket``."""

    def __init__(self, make_socket: MakeSocket, target: tuple[str, int], traffic: ByteCount) -> None:
        self.make_socket = make_socket
        self.target = target
        self.traffic = traffic
        self.open: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, at: socket.socket) -> None:
        self._server = await asyncio.get_running_loop().create_server(lambda: ClientEnd(self), sock=at)

    def close(self) -> None:
        """Stop listening and cut every open connection, as a machine that stops does."""
        if self._server:
            self._server.close()
        for transport in list(self.open):
            transport.abort()
