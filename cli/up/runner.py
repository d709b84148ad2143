"""Starts one process, waits until it is ready, and starts it again whenever it dies."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cli.places import ROOT
from cli.up import launch
from cli.up.processes import group_is_alive, kill_group
from cli.up.spec import Spec

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
STEADY_SECONDS = 30.0
PROBE_SECONDS = 0.05
LARGEST_LOG = 10_000_000


class Runner:
    """Keeps one process alive until it is told to stop."""

    def __init__(self, spec: Spec, log: Path, changed: Callable[[], None]) -> None:
        self.spec = spec
        self.log = log
        self.ready = asyncio.Event()
        self.pid: int | None = None
        self.deaths_in_a_row = 0
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self.stopping = False

    async def keep(self) -> None:
        """Returns when a one-time command has succeeded, or after `stop`."""
        rotate(self.log)
        while not self.stopping:
            started = time.monotonic()
            status = await self._live_once()
            if self.spec.once and status == 0:
                self.ready.set()
                return
            steady = time.monotonic() - started > STEADY_SECONDS
            self.deaths_in_a_row = 1 if steady else self.deaths_in_a_row + 1
            self._changed()
            if not self.stopping:
                await asyncio.sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (self.deaths_in_a_row - 1)))

    async def stop(self) -> None:
        """Ends the process in its own way, and by force when it takes too long."""
        process = self._process
        if process is None or self.pid is None:
            return
        kill_group(self.pid, self.spec.stop_signal)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), self.spec.stop_seconds)
        if group_is_alive(process.pid):
            kill_group(process.pid, signal.SIGKILL)
        await process.wait()

    async def _live_once(self) -> int:
        if self.spec.prepare:
            await asyncio.to_thread(self.spec.prepare)
        process = await self._spawn()
        self._process, self.pid = process, process.pid
        self._changed()
        probing = asyncio.create_task(self._await_ready())
        try:
            return await process.wait()
        finally:
            probing.cancel()
            # What the dead process started itself would hold its port against the next one.
            kill_group(process.pid, signal.SIGKILL)
            self._process = self.pid = None

    async def _spawn(self) -> asyncio.subprocess.Process:
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *launched(self.spec),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.log.parent.parent,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **self.spec.environment()},
                umask=self.spec.umask,
                start_new_session=True,
            )

    async def _await_ready(self) -> None:
        if self.spec.once:
            return
        while self.spec.ready and not await self.spec.ready():  # noqa: ASYNC110 - another process tells no Event
            await asyncio.sleep(PROBE_SECONDS)
        self.ready.set()


def launched(spec: Spec) -> list[str]:
    """The command line, through the launcher that ties the process to ours."""
    tied = ["--death-signal", str(int(spec.death_signal)), "--parent", str(os.getpid())]
    return [sys.executable, "-I", "-S", launch.__file__, *spec.launch, *tied, "--", *spec.command]


def rotate(log: Path) -> None:
    """Renames a log that has grown large, over the one renamed before."""
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_suffix(".log.1"))


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log, for the person at the terminal."""
    if not log.exists():
        return "(nothing logged)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 20_000))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-count:]) or "(nothing logged)"
