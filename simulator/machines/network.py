"""The machine's network: sockets made inside its namespace, and the mapped ports that lead there."""

import asyncio
import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, SIOCSIFADDR = 0x8914, 0x8916
IFF_UP_AND_RUNNING = 0x1 | 0x40
BUFFER = 1 << 18
Result = TypeVar("Result")
MakeSocket = Callable[[], socket.socket]


def inside(namespace: int, act: Callable[[], Result]) -> Result:
    """Do something in another network namespace, in a thread that goes there and ends.

    It does not come back: an ordinary user, root only in a user namespace, may not return to the host's network.
    """

    def enter_and_act() -> Result:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(namespace, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return act()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(enter_and_act).result()


def raise_loopback(namespace: int, *extra: str) -> None:
    """Bring ``lo`` up, with further addresses on it."""

    def raise_it() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP_AND_RUNNING))
            for number, address in enumerate(extra):
                name, raw = f"lo:{number}".encode(), socket.inet_aton(address)
                fcntl.ioctl(control, SIOCSIFADDR, struct.pack("16sHH4s8x", name, socket.AF_INET, 0, raw))

    inside(namespace, raise_it)


def _new_socket() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)


def stream_socket(namespace: int | None) -> socket.socket:
    """A TCP socket in the namespace (none: here), ready for the event loop."""
    made = _new_socket() if namespace is None else inside(namespace, _new_socket)
    made.setblocking(False)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def listening_socket(namespace: int | None, address: str, port: int) -> socket.socket:
    made = stream_socket(namespace)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((address, port))
    except OSError:
        made.close()
        raise
    made.listen(512)
    return made


def can_bind(address: str, port: int = 0) -> bool:
    """Is this address and port of ours to listen on? (On macOS only 127.0.0.1 is, of all loopback addresses.)"""
    try:
        listening_socket(None, address, port).close()
    except OSError:
        return False
    return True


class Traffic:
    """Bytes through a machine's ports, counted until somebody takes the count."""

    def __init__(self) -> None:
        self.up = 0
        self.down = 0

    def take(self) -> tuple[int, int]:
        """Bytes out of the machine and into it."""
        taken = (self.up, self.down)
        self.up = self.down = 0
        return taken


class _Half(asyncio.Protocol):
    """One end of a relayed connection: what arrives is written to the other end, with back-pressure both ways."""

    def __init__(self, traffic: Traffic) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _Half | None = None
        self._traffic = traffic

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._traffic.up += len(data)
        if self.other and self.other.transport:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        if self.other and self.other.transport and self.other.transport.can_write_eof():
            self.other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other and self.other.transport:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other and self.other.transport:
            self.other.transport.close()


class _Front(_Half):
    """The end that a client reached; it dials the machine when the connection stands."""

    def __init__(self, relay: "Relay") -> None:
        super().__init__(relay.traffic)
        self._relay = relay

    def data_received(self, data: bytes) -> None:
        self._traffic.down += len(data)
        if self.other and self.other.transport:
            self.other.transport.write(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._relay.open.add(self.transport)
        self.transport.pause_reading()
        self._dialling = asyncio.get_running_loop().create_task(self._dial(self.transport))

    async def _dial(self, front: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            line = self._relay.make_socket()
            await loop.sock_connect(line, self._relay.target)
        except OSError:
            front.abort()  # nobody listens in the machine: the client sees a reset, as through docker
            return
        back = _Half(self._relay.traffic)
        back.other, self.other = self, back
        behind, _ = await loop.create_connection(lambda: back, sock=line)
        if front.is_closing():
            behind.close()
        else:
            front.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.transport:
            self._relay.open.discard(self.transport)
        super().connection_lost(exc)


class Relay:
    """One mapped port: listens at a socket and leads every connection to ``target`` through ``make_socket``."""

    def __init__(self, make_socket: MakeSocket, target: tuple[str, int], traffic: Traffic) -> None:
        self.make_socket = make_socket
        self.target = target
        self.traffic = traffic
        self.open: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, at: socket.socket) -> None:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Front(self), sock=at)

    def close(self) -> None:
        """Stop listening and cut every open connection, as a machine that stops does."""
        if self._server:
            self._server.close()
        for transport in list(self.open):
            transport.abort()
