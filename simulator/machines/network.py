"""The machine's network: sockets made inside its namespace."""

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, SIOCSIFADDR = 0x8914, 0x8916
IFF_UP_AND_RUNNING = 0x1 | 0x40
Result = TypeVar("Result")


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
