"""What the operating system says about processes: who is who, who is ours, who is left."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform.startswith("linux")


def start_mark(pid: int) -> str | None:
    """When the process started, in the system's own words; with the id it names one process. None: it is gone."""
    if LINUX:
        fields = _stat(pid)
        return f"{_boot_id()}/{fields[19]}" if fields else None
    command = ["/bin/ps", "-o", "lstart=", "-p", str(pid)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a number in fixed words
    return shown.stdout.strip() or None


def group_is_alive(group: int) -> bool:
    """Whether any process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def kill_group(group: int, number: signal.Signals) -> None:
    """Sends the signal to every process of the group that is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def kill(pid: int) -> None:
    """Ends one process by force."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def adopt_orphans() -> None:
    """Makes this process the parent of grandchildren whose own parent dies, so that none escapes it (Linux)."""
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def children() -> list[int]:
    """The processes whose parent is this one (Linux; elsewhere none is known)."""
    if not LINUX:
        return []
    me = str(os.getpid())
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if (fields := _stat(pid)) and fields[1] == me]


def bury(pids: list[int]) -> None:
    """Collects those of our adopted children that have ended."""
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def bury_dead(but_not: set[int]) -> None:
    """Collects every child that has ended, up to one of `but_not`: whoever waits for that one comes first (Linux)."""
    while LINUX and (dead := _next_dead()) is not None and dead not in but_not:
        bury([dead])


def _next_dead() -> int | None:
    """A child that has ended; it stays where it is."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if found is None else found.si_pid


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; the name before them may hold spaces and brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
