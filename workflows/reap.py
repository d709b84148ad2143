"""A sweep of every account for machines of ours that nobody holds: reported, and released by the rules."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.machines.pairing import PairingActivities
    from activities.machines.reaping import Execution, ReapActivities

from workflows.failures import reason_of
from workflows.options import CLOUD, RECORD, within

PATIENCE = timedelta(minutes=2)
"""For one account or one machine; what does not work now is tried again by the next sweep."""


@workflow.defn
class ReapWorkflow:
    @workflow.run
    async def run(self) -> int:
        """Returns how many machines were stopped or destroyed."""
        may_act = await workflow.execute_local_activity_method(
            PairingActivities.check_pairing, summary="do our two databases belong together", **RECORD
        )
        accounts = await workflow.execute_local_activity_method(
            ReapActivities.accounts_to_sweep, summary="which accounts", **RECORD
        )
        return sum(await asyncio.gather(*(self._sweep(account_id, may_act) for account_id in accounts)))

    async def _sweep(self, account_id: int, may_act: bool) -> int:
        """Beside the other accounts: none waits for one whose cloud does not answer."""
        try:
            sweep = await workflow.execute_activity_method(
                ReapActivities.sweep_account, account_id, summary="list it all, judge", **within(CLOUD, PATIENCE)
            )
        except ActivityError as error:
            workflow.logger.warning("account %s is left to the next sweep: %s", account_id, reason_of(error))
            return 0
        orders = [Execution(account_id=account_id, action_request=each) for each in sweep.action_requests]
        return sum(await asyncio.gather(*map(self._carry_out, orders))) if may_act else 0

    async def _carry_out(self, execution: Execution) -> bool:
        """Beside the other machines, for the same reason."""
        action_request = execution.action_request
        try:
            return await workflow.execute_activity_method(
                ReapActivities.carry_out,
                execution,
                summary=f"{action_request.action} {action_request.cloud_id}",
                **within(CLOUD, PATIENCE),
            )
        except ActivityError as error:
            workflow.logger.warning("%s is left to the next sweep: %s", action_request.cloud_id, reason_of(error))
            return False
