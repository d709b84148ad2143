"""The rows that a workflow lives by: heard of while something long is under way."""

import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Generic, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError

Facts = TypeVar("Facts")
Result = TypeVar("Result")


class Interrupted(Exception):
    """The rows say otherwise by now: decide anew."""


class Rows(Generic[Facts]):
    """Whether they changed, and what they say. `read` reads them."""

    def __init__(self, read: Callable[[], Awaitable[Facts]]) -> None:
        self._read = read
        self.changed = True
        self.facts: Facts

    async def look(self) -> Facts:
        self.changed = False
        self.facts = await self._read()
        return self.facts

    async def wait(self, longest: timedelta | None = None, until: str | None = None) -> None:
        """Until the rows changed, or the time is over. `until`: what the timer is for, in words."""
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(lambda: self.changed, timeout=longest, timeout_summary=until)

    async def unless_changed(self, running: "workflow.ActivityHandle[Result]") -> Result | None:
        """The activity's result; None when the rows changed first, and the activity was cancelled."""
        await workflow.wait_condition(lambda: self.changed or running.done())
        if running.done():
            return await running
        await cancelled(running)
        return None

    async def unless(
        self, running: "workflow.ActivityHandle[Result]", is_otherwise: Callable[[Facts, Facts], bool]
    ) -> Result:
        """The activity's result, unless the rows say otherwise meanwhile than they did before.

        Raises:
            Interrupted: the activity was cancelled.
        """
        before = self.facts
        while True:
            await workflow.wait_condition(lambda: self.changed or running.done())
            if running.done():
                return await running
            if is_otherwise(before, await self.look()):
                await cancelled(running)
                raise Interrupted


async def cancelled(running: "workflow.ActivityHandle[Result]") -> None:
    """Cancel it, and see it ended, whatever it ends with."""
    running.cancel()
    with contextlib.suppress(FailureError):
        await running
