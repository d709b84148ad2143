"""One attempt of one activity, as Temporal would run it: it may hang or die at a named place, and wake up much later.

Attempts take turns: one runs until it ends or hangs, then the next. So a schedule, and nothing else, says what happens
between what.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime
from typing import Any

from temporalio.testing import ActivityEnvironment

Activity = Callable[[Any], Awaitable[Any]]


class Killed(BaseException):
    """The process died here."""


class Attempt:
    def __init__(self, activity: Activity, argument: Any, number: int, started: datetime) -> None:
        self._environment = ActivityEnvironment()
        self._environment.info = replace(ActivityEnvironment.default_info(), attempt=number, started_time=started)
        self._activity, self._argument = activity, argument
        self._task: asyncio.Task[Any] | None = None
        self._hangs, self._resumed = asyncio.Event(), asyncio.Event()

    async def go_on(self) -> None:
        """Begin, or go on from where it hangs. Returns when it has ended or hangs (again)."""
        self._hangs.clear()
        self._resumed.set()
        if self._task is None:
            token = _running.set(self)
            self._task = asyncio.create_task(self._run())
            _running.reset(token)
        hangs = asyncio.create_task(self._hangs.wait())
        await asyncio.wait({self._task, hangs}, return_when=asyncio.FIRST_COMPLETED)
        hangs.cancel()

    async def _run(self) -> Any:
        return await self._environment.run(self._activity, self._argument)

    async def hang(self) -> None:
        self._resumed.clear()
        self._hangs.set()
        await self._resumed.wait()

    @property
    def is_hanging(self) -> bool:
        return self._task is not None and not self._task.done()

    def result(self) -> Any:
        """What it returned, or raises what it raised."""
        assert self._task is not None
        return self._task.result()


_running: ContextVar[Attempt | None] = ContextVar("running", default=None)


class Gates:
    """The orders for places where attempts pass: the points of our own code, and the requests to the cloud."""

    def __init__(self) -> None:
        self._orders: list[tuple[str, bool]] = []
        self.passed: set[str] = set()

    def order(self, place: str, *, kill: bool) -> None:
        self._orders.append((place, kill))

    def clear(self) -> None:
        self._orders.clear()

    async def hit(self, place: str) -> None:
        attempt = _running.get()
        order = next((order for order in self._orders if order[0] == place), None)
        if attempt is None or order is None:
            return
        self._orders.remove(order)
        self.passed.add(place)
        if order[1]:
            raise Killed(place)
        await attempt.hang()
