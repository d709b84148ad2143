"""The rows that a workflow lives by: heard of while something long is under way, read again after a Cancel click."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, Generic, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError

Facts = TypeVar("Facts")
Result = TypeVar("Result")


async def through_cancels(flow: Coroutine[Any, Any, Result], look_again: Callable[[], object]) -> Result:
    """The flow to its end, whatever is clicked. Every flow that lives by rows runs in this.

    What is wanted stands in the rows, and a Cancel click does not change them: it only has them read again. The flow
    never hears of it, so that nothing under way is cut off, and no step takes it for a failure.
    """
    going = asyncio.create_task(flow)
    while not going.done():
        try:
            await workflow.wait_condition(going.done)
        except asyncio.CancelledError:
            look_again()
    return going.result()


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

    async def after(self, known: Facts | None) -> Facts:
        """What holds after a step. `known`: what the step's last word read, unless something changed since."""
        if known is None or self.changed:
            return await self.look()
        self.facts = known
        return known

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
