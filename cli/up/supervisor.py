"""Starts the processes in order, keeps them all alive, and ends them in reverse order."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Sequence
from itertools import groupby

from cli.errors import CommandRefused
from cli.up.folder import Folder
from cli.up.processes import adopt_orphans, bury, bury_dead, children, kill
from cli.up.runner import Runner, last_lines
from cli.up.spec import Spec

READY_SECONDS = 120.0
DEATHS_BEFORE_GIVING_UP = 5
DEATHS_BEFORE_NOTICE = 3
ORPHANS_SECONDS = 2.0

# Those nearest to the users go first, and each process before those that it writes to.
STOP_ORDER = {"api": 0, "gateway": 0, "worker": 0, "vault": 0, "simulator": 1, "temporal": 1, "postgres": 2}


class Supervisor:
    """All processes of one installation."""

    def __init__(self, folder: Folder, specs: Sequence[Spec], tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._tell = tell
        self._runners = {spec.name: Runner(spec, folder.logs / f"{spec.name}.log", self._changed) for spec in specs}
        self._tasks: list[asyncio.Task[None]] = []
        self._on_change: Callable[[], None] | None = None
        self._stop = asyncio.Event()

    def pids(self) -> dict[str, int]:
        """The process id of each that runs now."""
        return {name: runner.pid for name, runner in self._runners.items() if runner.pid is not None}

    async def run(self, on_ready: Callable[[], None], on_change: Callable[[], None]) -> None:
        """Returns when everything has ended after Ctrl-C or a signal; raises when an installation never gets ready."""
        adopt_orphans()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        try:
            await self._start()
            if not self._stop.is_set():
                on_ready()
                self._on_change = on_change
                on_change()
            await self._watch()
        finally:
            await self._end()

    async def _start(self) -> None:
        self._tasks = [asyncio.create_task(self._keep(runner)) for runner in self._runners.values()]
        all_ready = asyncio.create_task(self._all_ready())
        stopped = asyncio.create_task(self._stop.wait())
        deadline = time.monotonic() + READY_SECONDS
        while not all_ready.done() and not stopped.done():
            await asyncio.wait([all_ready, stopped], timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
            self._raise_failures()
            if time.monotonic() > deadline:
                raise CommandRefused(self._why_not_ready())
        stopped.cancel()
        all_ready.cancel()

    async def _all_ready(self) -> None:
        for runner in self._runners.values():
            await runner.ready.wait()

    async def _keep(self, runner: Runner) -> None:
        await asyncio.gather(*(self._runners[name].ready.wait() for name in runner.spec.after))
        await runner.keep()

    async def _watch(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 1)
            self._raise_failures()
            self._bury()

    def _bury(self) -> None:
        """Collect adopted children that have ended, such as what ran on simulated machines."""
        bury_dead(but_not=set(self.pids().values()))

    def _raise_failures(self) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled() and (failure := task.exception()):
                raise failure
        for runner in self._runners.values():
            if not runner.ready.is_set() and runner.deaths_in_a_row >= DEATHS_BEFORE_GIVING_UP:
                raise CommandRefused(
                    f"{runner.spec.name} does not start.\n{last_lines(runner.log)}\nAll of it: {runner.log}"
                )

    def _why_not_ready(self) -> str:
        late = [runner for runner in self._runners.values() if not runner.ready.is_set()]
        names = ", ".join(runner.spec.name for runner in late)
        return f"Not ready after {READY_SECONDS:.0f} s: {names}.\n{last_lines(late[0].log)}\nAll of it: {late[0].log}"

    def _changed(self) -> None:
        self._folder.record(self.pids())
        for runner in self._runners.values():
            if runner.pid is None and runner.deaths_in_a_row == DEATHS_BEFORE_NOTICE:
                self._tell(f"{runner.spec.name} died {DEATHS_BEFORE_NOTICE} times in a row:\n{last_lines(runner.log)}")
        if self._on_change:
            self._on_change()

    async def _end(self) -> None:
        self._on_change = None
        for runner in self._runners.values():
            runner.stopping = True
        by_turn = sorted(self._runners.values(), key=stop_order)
        for _, runners in groupby(by_turn, key=stop_order):
            await asyncio.gather(*(runner.stop() for runner in runners))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._end_orphans()
        self._folder.record({})

    async def _end_orphans(self) -> None:
        """Ends what our processes started and left, such as simulated machines."""
        deadline = time.monotonic() + ORPHANS_SECONDS
        while (left := children()) and time.monotonic() < deadline:
            for pid in left:
                kill(pid)
            await asyncio.sleep(0.02)
            bury(left)


def stop_order(runner: Runner) -> int:
    """When the process is stopped: lower numbers first."""
    return STOP_ORDER.get(runner.spec.name, 0)
