"""One job at a time on a machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from machine.transfer.places import TURN
from machine.transfer.progress import Progress


@contextlib.contextmanager
def turn(progress: Progress) -> Iterator[None]:
    """Wait for the others; they have deadlines of their own, so waiting is no standing still."""
    lock = os.open(TURN, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            progress.check()
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                progress.move(1)
                time.sleep(0.2)
        yield
    finally:
        os.close(lock)
