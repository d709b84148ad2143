"""`~/.dumont/keep_awake`: a file with minutes (from when it was written) or an ISO time, until when not to pause."""

from __future__ import annotations

import os
from datetime import datetime, timezone

from machine.agent.settings import HOME

FILE = os.path.join(HOME, "keep_awake")
UNREADABLE_MINUTES = 60.0
"""An empty or unreadable one holds for so long from when it was written: unknown counts as wanted, but not for ever."""
MOST_SECONDS = 30 * 86400.0


def seconds_left(now: float, file: str = FILE) -> float | None:
    """For how long the machine shall be kept awake; None without such a file or after its time."""
    try:
        written = os.stat(file).st_mtime
        with open(file, errors="replace") as content:
            until = until_when(content.read(200), written)
    except OSError:
        return None
    left = min(until - now, MOST_SECONDS)
    return left if left > 0 else None


def until_when(text: str, written: float) -> float:
    """Seconds since the epoch. A time without a zone is UTC."""
    text = text.strip()
    try:
        return written + min(max(float(text), 0.0) * 60, MOST_SECONDS)
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return written + UNREADABLE_MINUTES * 60
    return (at if at.tzinfo else at.replace(tzinfo=timezone.utc)).timestamp()
