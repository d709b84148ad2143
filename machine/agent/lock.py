"""One agent a machine: the process that holds the lock. Its process id is in the file."""

from __future__ import annotations

import fcntl
import os
from typing import IO

from machine.agent.settings import FOLDER

FILE = os.path.join(FOLDER, "lock")


def hold(path: str = FILE) -> IO[str] | None:
    """The lock, held until this process ends in any way; None: another agent has it."""
    file = open(path, "a+")  # noqa: SIM115 - held for life
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    file.seek(0)
    file.truncate()
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
