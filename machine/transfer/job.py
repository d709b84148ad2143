"""A transfer: started detached, followed and stopped by later calls. Its lock is held while it is alive."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

from machine.transfer import backup, restoring
from machine.transfer.places import JOBS
from machine.transfer.progress import Halt, Progress, Status, read_status

KINDS = {"snapshot": backup.take, "restore": restoring.restore}
MOST_STARTS = 5
FIRST_STATUS_SECONDS = 10.0
"""Less than the caller of `stop` waits."""
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


def start(order: dict[str, Any]) -> str:
    """`started`, `running` (somebody started it before) or `over` (its status says how)."""
    folder = folder_of(order["id"])
    os.makedirs(folder, mode=0o700, exist_ok=True)
    lock = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return "running"
    status = read_status(folder)
    if status is not None and status.is_over:
        return "over"
    if _starts(folder) > MOST_STARTS:
        Progress(folder, 0.0).failed("broken", f"the copy ended {MOST_STARTS} times without a word")
        return "over"
    with contextlib.suppress(FileNotFoundError):
        os.remove(os.path.join(folder, "status.json"))  # of one that died: its number is not this one's
    sys.stdout.flush()
    if os.fork() == 0:
        _detached(folder, order)  # keeps the lock: it belongs to the open file, which both hold
    os.close(lock)  # from here on the job's alone
    return "started"


def _starts(folder: str) -> int:
    """How often it was started, this time included."""
    path = os.path.join(folder, "starts")
    with open(path, "a") as file:
        file.write(".")
    return os.path.getsize(path)


def _detached(folder: str, order: dict[str, Any]) -> None:
    os.setsid()
    log = os.open(os.path.join(folder, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for mine, given in ((0, nothing), (1, log), (2, log)):
        os.dup2(given, mine)
    try:
        work(folder, order)
    finally:
        os._exit(0)


def work(folder: str, order: dict[str, Any]) -> None:
    """Carry it out, and record in the status how it ended."""
    progress = Progress(folder, float(order["stall_seconds"]))
    signal.signal(signal.SIGTERM, lambda *_: progress.stop())
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    progress.begin()
    try:
        progress.done(KINDS[order["kind"]](order, progress))
    except Halt as halt:
        progress.failed(halt.fault, halt.reason)
    except OSError as error:
        fault = "no_space" if error.errno in (28, 122) else "broken"
        progress.failed(fault, f"{error.strerror or error} {error.filename or ''}".strip())
    except Exception as error:  # noqa: BLE001 - nobody else is there to say it
        progress.failed("broken", f"{type(error).__name__}: {error}")


def follow(name: str) -> None:
    """Print the status now and every second, until it is over. A transfer that died is `lost`."""
    folder = folder_of(name)
    while True:
        held = _is_held(folder)
        status = read_status(folder) or Status()
        if not (status.is_over or held):
            status = Status(state="lost", reason="the copy ended without a word")
        print(json.dumps(status.shown()), flush=True)
        if status.is_over:
            return
        _pause(folder)


def _pause(folder: str) -> None:
    """A second, or less when it is over before that."""
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        time.sleep(0.05)
        if (read_status(folder) or Status()).is_over or not _is_held(folder):
            return


def stop(name: str) -> None:
    folder = folder_of(name)
    status = _first_status(folder)
    if status is not None and status.pid and _is_held(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(status.pid, signal.SIGTERM)


def _first_status(folder: str) -> Status | None:
    """The status; of a transfer that has only just begun, once it has written one."""
    until = time.monotonic() + FIRST_STATUS_SECONDS
    while (status := read_status(folder)) is None and _is_held(folder) and time.monotonic() < until:
        time.sleep(0.02)
    return status


def folder_of(name: str) -> str:
    if not NAME.match(name):
        raise SystemExit("no such job")
    return os.path.join(JOBS, name)


def _is_held(folder: str) -> bool:
    with _opened(os.path.join(folder, "lock")) as lock:
        if lock is None:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int | None]:
    try:
        lock = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        yield None
        return
    try:
        yield lock
    finally:
        os.close(lock)
