"""A snapshot that somebody asked for: taken, verified, and the old ones forgotten. And tidying alone."""

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.errors import Fault
    from activities.snapshots.vault import SnapshotFailure, VaultActivities
    from domain.snapshots.phases import SnapshotStatus
    from domain.workflow_contracts import SnapshotInput, TidyInput

from workflows.attributes import show_phase
from workflows.failures import fault_of, reason_of
from workflows.interruptible import through_cancels
from workflows.options import COPY, RECORD, VAULT, within

TIDY_PATIENCE = VAULT["start_to_close_timeout"] * 2
"""What cannot be tidied now is tidied after the next snapshot."""


@workflow.defn
class SnapshotWorkflow:
    """Its row was written by who asked for it; here it becomes ready and verified, or failed with the reason."""

    @workflow.init
    def __init__(self, input: SnapshotInput) -> None:
        self._id = input.snapshot_id
        self._in_doubt = False

    @workflow.run
    async def run(self, input: SnapshotInput) -> None:
        await through_cancels(self._live(input), self._doubt)

    def _doubt(self) -> None:
        """Somebody cancelled: who deleted its row, or a click. The row says which."""
        self._in_doubt = True

    async def _live(self, input: SnapshotInput) -> None:
        try:
            self._say(SnapshotStatus.CREATING, "sending its files to the vault")
            await self._take()
            self._say(SnapshotStatus.CREATING, "verifying")
            await workflow.execute_activity_method(
                VaultActivities.verify_snapshot, self._id, summary="read it on our side, compare", **VAULT
            )
        except FailureError as error:
            return await self._fail(error)
        self._say(SnapshotStatus.READY, "ready and verified")
        await tidy(input.instance_id)

    async def _take(self) -> None:
        taking = workflow.start_activity_method(
            VaultActivities.take_snapshot, self._id, summary="the machine sends its files", **COPY
        )
        while not taking.done():
            await workflow.wait_condition(lambda: taking.done() or self._in_doubt)
            if self._in_doubt:
                self._in_doubt = False
                wanted = await workflow.execute_local_activity_method(
                    VaultActivities.is_wanted, self._id, summary="is it still wanted", **RECORD
                )
                if not wanted:
                    taking.cancel()
        await taking

    async def _fail(self, error: BaseException) -> None:
        message = "cancelled" if fault_of(error) is Fault.NOT_WANTED else reason_of(error)
        self._say(SnapshotStatus.FAILED, message)
        failure = SnapshotFailure(snapshot_id=self._id, message=message)
        await workflow.execute_local_activity_method(
            VaultActivities.fail_snapshot, failure, summary="say why there is none", **RECORD
        )

    def _say(self, status: SnapshotStatus, message: str) -> None:
        show_phase(status.value, f"**{self._id}**: {message}")


@workflow.defn
class TidyVaultWorkflow:
    """After a deletion, so that its room is given back without waiting for the next snapshot."""

    @workflow.run
    async def run(self, input: TidyInput) -> None:
        await tidy(input.instance_id)


async def tidy(instance_id: int) -> None:
    """Forget what is old, deleted, or nobody's. Never a reason for a snapshot to fail."""
    try:
        await workflow.execute_activity_method(
            VaultActivities.forget_snapshots,
            instance_id,
            summary="forget what is too old or deleted",
            **within(VAULT, TIDY_PATIENCE),
        )
    except FailureError as error:
        workflow.logger.warning("the vault of instance %s is not tidied: %s", instance_id, reason_of(error))
