"""The agent's log: two files of bounded size, in the agent's folder."""

from __future__ import annotations

import contextlib
import os
import time

from machine.agent.settings import FOLDER

FILE = os.path.join(FOLDER, "agent.log")
MOST_BYTES = 128 * 1024


def note(text: str, file: str = FILE) -> None:
    """Add a line; a full disk is no reason to stop."""
    with contextlib.suppress(OSError):
        if os.path.exists(file) and os.path.getsize(file) > MOST_BYTES:
            os.replace(file, f"{file}.1")
        with open(file, "a") as log:
            log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text[:1000]}\n")
