"""What an instance's owner wishes, heard while something long is under way."""

import contextlib
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.instances.instances import InstanceActivities
    from domain.instances.steps import InstanceFacts

from workflows.options import RECORD

Result = TypeVar("Result")


class Interrupted(Exception):
    """The owner wishes otherwise, or the machine is another's business by now: decide anew."""


class Wishes:
    """Whether the instance's rows changed, and what they say."""

    def __init__(self, instance_id: int) -> None:
        self._id = instance_id
        self.changed = True
        self._last: InstanceFacts

    async def wait(self, timeout: timedelta | None) -> None:
        """Until something changed, or the time is over."""
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(lambda: self.changed, timeout=timeout)
        self.changed = False

    async def look(self) -> InstanceFacts:
        self._last = await workflow.execute_local_activity_method(
            InstanceActivities.look_at_instance, self._id, **RECORD
        )
        return self._last

    async def unless_otherwise(self, running: "workflow.ActivityHandle[Result]") -> Result:
        """The activity's result, unless its owner wishes the instance otherwise meanwhile, or its machine is lost.

        Raises:
            Interrupted: the activity was cancelled.
        """
        before = self._last
        while True:
            await workflow.wait_condition(lambda: self.changed or running.done())
            if running.done():
                return await running
            self.changed = False
            if _is_otherwise(before, await self.look()):
                running.cancel()
                with contextlib.suppress(FailureError):
                    await running
                raise Interrupted


def _is_otherwise(before: InstanceFacts, now: InstanceFacts) -> bool:
    if now.desired is not before.desired or now.restore_requested != before.restore_requested:
        return True
    if before.lease is None or now.lease is None:
        return before.lease is not now.lease
    return (now.lease.id, now.lease.state, now.lease.wanted) != (
        before.lease.id,
        before.lease.state,
        before.lease.wanted,
    )
