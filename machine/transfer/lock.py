"""A machine carries out one transfer at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator

from machine.transfer.places import LOCK
from machine.transfer.progress import Progress


@contextlib.contextmanager
def exclusive(progress: Progress) -> Iterator[None]:
    """Hold the lock. Waiting for it counts as progress: the transfer that holds it has deadlines of its own."""
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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
