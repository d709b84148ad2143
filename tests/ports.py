"""Ports of this computer that no other test has.

A port that was free a moment ago may be taken before it is listened on: by another test run, or, above 32768, by any
outgoing connection. So every process of the tests, and every installation under test, has a block of its own, in a
range that the system takes no ports from.
"""

import fcntl
import socket
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO

_BLOCK = 200
_FIRSTS = range(10_000, 20_000, _BLOCK)


class PortBlock:
    """Two hundred ports in a row, until this process ends or lets them go."""

    def __init__(self) -> None:
        self.first, self._lock = _reserved()

    @property
    def last(self) -> int:
        return self.first + _BLOCK - 1

    def release(self) -> None:
        self._lock.close()


def free_port() -> int:
    """Another one each time, of this process's own block."""
    return next(port for port in _own_ports() if _is_free(port))


@cache
def _own_ports() -> Iterator[int]:
    return _in_turn(PortBlock())


def _in_turn(block: PortBlock) -> Iterator[int]:
    while True:
        yield from range(block.first, block.last + 1)


def _reserved() -> tuple[int, IO[bytes]]:
    """The first free block, and the lock on its file that keeps it ours; the lock ends with the process."""
    folder = Path(tempfile.gettempdir()) / "dumont-test-ports"
    folder.mkdir(exist_ok=True)
    for first in _FIRSTS:
        lock = (folder / str(first)).open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        if all(_is_free(port) for port in range(first, first + _BLOCK)):
            return first, lock
        lock.close()  # another program has one of them, or what a killed test run left
    raise AssertionError("more test processes than blocks of ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
