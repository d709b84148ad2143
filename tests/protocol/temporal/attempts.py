"""One attempt of one activity: it may wait, or hang or die at a named place, and wake up much later.

Attempts take turns: one runs until it ends, waits or hangs, then the next. So a schedule, and nothing else, says what
happens between what.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

from temporalio.activity import Info
from temporalio.testing import ActivityEnvironment

Function = Callable[..., Coroutine[Any, Any, Any]]


class Killed(BaseException):
    """The process died here."""


class Attempt:
    """`rests`: the seconds for which it waits for something outside; None while it runs, hangs, or has ended."""

    def __init__(self, function: Function, arguments: list[Any], info: Info) -> None:
        self._environment = ActivityEnvironment()
        self._environment.info = info
        self._environment.on_heartbeat = self._beat
        self._function, self.arguments = function, arguments
        self._task: asyncio.Task[Any] | None = None
        self._pauses, self._resumed = asyncio.Event(), asyncio.Event()
        self._is_killed = False
        self.name = info.activity_type
        self.rests: float | None = None
        self.heartbeat: tuple[Any, ...] = tuple(info.heartbeat_details)

    def _beat(self, *details: Any) -> None:
        self.heartbeat = details

    async def go_on(self) -> None:
        """Begin, or go on from where it pauses. Returns when it has ended or pauses (again)."""
        self._pauses.clear()
        self._resumed.set()
        if self._task is None:
            token = _running.set(self)
            self._task = asyncio.create_task(self._environment.run(self._function, *self.arguments))
            _running.reset(token)
        pauses = asyncio.create_task(self._pauses.wait())
        await asyncio.wait({self._task, pauses}, return_when=asyncio.FIRST_COMPLETED)
        pauses.cancel()

    async def kill(self) -> None:
        """Its process dies where it pauses."""
        self._is_killed = True
        await self.go_on()

    async def cancel(self) -> None:
        """It is told, where it waits, that nobody wants it any more. It may still take its time."""
        if self._task is not None:
            self._task.cancel()
            self.rests = None
            await self.go_on()

    async def hang(self) -> None:
        await self._pause()

    async def rest(self, seconds: float) -> None:
        self.rests = seconds
        await self._pause()
        self.rests = None

    async def _pause(self) -> None:
        self._resumed.clear()
        self._pauses.set()
        await self._resumed.wait()
        if self._is_killed:
            raise Killed

    @property
    def is_over(self) -> bool:
        return self._task is not None and self._task.done()

    @property
    def is_hanging(self) -> bool:
        return not self.is_over and self.rests is None

    def result(self) -> Any:
        """What it returned, or raises what it raised."""
        assert self._task is not None
        return self._task.result()


_running: ContextVar[Attempt | None] = ContextVar("running", default=None)


async def rest(seconds: float) -> None:
    """In an activity: wait so long by the schedule's clock, and let others have their turn."""
    attempt = _running.get()
    if attempt is None:
        raise AssertionError("nobody's attempt waits")
    await attempt.rest(seconds)


def given() -> list[Any]:
    """What the running attempt was given; nothing where none runs."""
    attempt = _running.get()
    return [] if attempt is None else attempt.arguments


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
