"""A transfer's status, in a file; and its deadline: it fails when nothing has moved for so long."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

TICK = 0.25
LEAST = 1 << 16
"""Bytes that count as movement when all that is seen is a process's own count: retries alone make fewer."""
TROUBLED = 70.0
"""After a failed try, seconds in which its bytes count for nothing; restic waits up to 60 before it tries again."""

OVER = ("done", "failed", "stopped", "lost")


class Halt(Exception):
    """The transfer cannot go on: a stable code and a sentence."""

    def __init__(self, fault: str, reason: str) -> None:
        super().__init__(reason)
        self.fault, self.reason = fault, reason


@dataclass
class Status:
    state: str = "running"
    step: str = "waiting"
    pid: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    files_done: int = 0
    moved: int = 0
    """Only ever rises; when it does not, nothing moves."""
    fault: str = ""
    reason: str = ""
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    def shown(self) -> dict[str, Any]:
        return asdict(self)


def read_status(folder: str) -> Status | None:
    try:
        with open(os.path.join(folder, "status.json")) as file:
            return Status(**json.load(file))
    except FileNotFoundError:
        return None


class Progress:
    """One job's status, written down a few times a second by a thread of its own, which also minds the deadline."""

    def __init__(self, folder: str, stall_seconds: float) -> None:
        self.folder = folder
        self.status = Status(pid=os.getpid())
        self._stall = stall_seconds
        self._moved_at = time.monotonic()
        self._trouble_at: float | None = None
        self._trouble = ""
        self._counted: int | None = None
        self._halt: Halt | None = None
        self._process: Callable[[], int | None] | None = None
        self._kill: Callable[[], None] | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def begin(self) -> None:
        self._write()
        self._thread.start()

    def enter(self, step: str, bytes_total: int = 0) -> None:
        self.check()
        status = self.status
        status.step, status.bytes_total, status.bytes_done, status.files_done = step, bytes_total, 0, 0
        self.move(1)

    def advance(self, count: int, files: int = 0) -> None:
        """So many more bytes and files are done."""
        self.status.bytes_done += count
        self.status.files_done += files
        self.move(count + files)

    def reached(self, bytes_done: int, files_done: int) -> None:
        """Progress that a program reports. More than before counts as movement, and ends any trouble."""
        before = self.status.bytes_done + self.status.files_done
        self.status.bytes_done, self.status.files_done = bytes_done, files_done
        if bytes_done + files_done > before:
            self._trouble_at = None
            self.move(bytes_done + files_done - before)

    def move(self, count: int) -> None:
        self.status.moved += count
        self._moved_at = time.monotonic()

    def trouble(self, reason: str) -> None:
        """A try failed and will be made again."""
        self._trouble, self._trouble_at = reason, time.monotonic()

    def check(self) -> None:
        if self._halt is not None:
            raise self._halt

    def halt(self, fault: str, reason: str) -> None:
        """Have the job end at its next step; the first reason stands."""
        if self._halt is None:
            self._halt = Halt(fault, reason)
        if self._kill is not None:
            self._kill()

    def stop(self) -> None:
        self.halt("stopped", "it was stopped")

    @contextlib.contextmanager
    def minding(self, counted: Callable[[], int | None], kill: Callable[[], None]) -> Any:
        """While a program runs: what it has moved by the kernel's count, and how to end it."""
        self._counted, self._process, self._kill = None, counted, kill
        try:
            yield
        finally:
            self._process = self._kill = None

    def done(self, result: dict[str, Any]) -> None:
        self._over("done", result=result)

    def failed(self, fault: str, reason: str) -> None:
        self._over("stopped" if fault == "stopped" else "failed", fault=fault, reason=reason[:500])

    def _over(self, state: str, **values: Any) -> None:
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()
        for name, value in values.items():
            setattr(self.status, name, value)
        self.status.state = state
        self._write()

    def _tick(self) -> None:
        while not self._end.wait(TICK):
            self._count()
            still = time.monotonic() - self._moved_at
            if still > self._stall:
                why = f": {self._trouble}" if self._trouble else ""
                self.halt("stalled", f"nothing moved for {still:.0f} s while {self.status.step}{why}")
            self._write()

    def _count(self) -> None:
        now = self._process() if self._process else None
        if now is None:
            return
        if (self._trouble_at is not None and time.monotonic() - self._trouble_at < TROUBLED) or self._counted is None:
            self._counted = now
        elif now - self._counted >= LEAST:
            self.move(now - self._counted)
            self._counted = now
            self._guess()

    def _guess(self) -> None:
        """restic reports no progress of a restore, so we count: each byte is read once and written once."""
        if self.status.step == "fetching" and self._counted is not None:
            self.status.bytes_done = min(self.status.bytes_total, self._counted // 2)

    def _write(self) -> None:
        path = os.path.join(self.folder, "status.json")
        try:
            with open(path + ".new", "w") as file:
                json.dump(self.status.shown(), file)
            os.replace(path + ".new", path)
        except OSError as error:  # a full disk is said by who needs the room
            print(error, flush=True)
