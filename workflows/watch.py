"""Look at the machines of one cloud account for as long as any is held: one listing for all of them."""

import contextlib

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.machines.watching import WatchActivities
    from domain.workflow_contracts import WatchInput

from workflows.interruptible import through_cancels
from workflows.options import CLOUD

EVENTS_BEFORE_ROLLING_OVER = 1000


@workflow.defn
class WatchWorkflow:
    """The activity asks to be called again by itself; a signal only makes the next look come at once."""

    def __init__(self) -> None:
        self._changed = False

    @workflow.signal
    def changed(self, because: str = "") -> None:
        """A machine began to move: look now, not after the slow interval."""
        self._changed = True

    @workflow.run
    async def run(self, input: WatchInput) -> None:
        await through_cancels(self._live(input), self.changed)

    async def _live(self, input: WatchInput) -> None:
        while not await self._watched_to_the_end(input.account_id):
            if workflow.info().get_current_history_length() > EVENTS_BEFORE_ROLLING_OVER:
                workflow.continue_as_new(input)

    async def _watched_to_the_end(self, account_id: int) -> bool:
        """Look until nothing is held any more (true), or until somebody wants a look at once (false)."""
        self._changed = False
        looking = workflow.start_activity_method(
            WatchActivities.look_at_account, account_id, summary="list the account's machines", **CLOUD
        )
        await workflow.wait_condition(lambda: self._changed or looking.done())
        if looking.done() and not self._changed:
            return True
        looking.cancel()
        with contextlib.suppress(FailureError):
            await looking
        return False
