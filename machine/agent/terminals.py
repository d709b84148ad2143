"""The terminals that people have open here: whether somebody types, and messages to all of them."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from machine.agent.settings import HOME

PTS = "/dev/pts"
SAID = os.path.join(HOME, "said")
"""The last message shown. Senders look here first, so that none is shown twice."""


def typed() -> dict[str, float]:
    """When each terminal was last typed at (the kernel notes it within 8 s)."""
    found = {}
    for name in _open():
        with contextlib.suppress(OSError):
            found[name] = os.stat(os.path.join(PTS, name)).st_atime
    return found


def typing(before: dict[str, float], after: dict[str, float]) -> list[str]:
    """Terminals that were typed at, or opened, between two looks."""
    return sorted(name for name, at in after.items() if at > before.get(name, 0.0))


def sessions(now: float) -> list[dict[str, Any]]:
    return [{"terminal": f"pts/{name}", "idle_seconds": max(0.0, now - at)} for name, at in sorted(typed().items())]


def say(message: str) -> None:
    """Write to every terminal; the same words are not said twice in a row. A terminal that does not take it is
    passed over."""
    if not message or _last_said() == message:
        return
    with open(SAID, "w") as file:
        file.write(message)
    for name in _open():
        with contextlib.suppress(OSError):
            terminal = os.open(os.path.join(PTS, name), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
            try:
                os.write(terminal, f"\r\n\a{message}\r\n".encode())
            finally:
                os.close(terminal)


def _open() -> list[str]:
    try:
        return [name for name in os.listdir(PTS) if name.isdigit()]
    except OSError:
        return []


def _last_said() -> str:
    try:
        with open(SAID) as file:
            return file.read()
    except OSError:
        return ""
