"""How an instance falls asleep: its files saved, its programs ended, its machine stopped; later given back."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.instances.power import Caution, ChangeOfMind, PowerRequest, SleepActivities
    from activities.machines.shell import ShellActivities
    from activities.snapshots.vault import SnapshotFailure, SnapshotOrder, VaultActivities
    from domain.ids import id_from
    from domain.instances.phases import Desired, InstanceStatus
    from domain.instances.steps import InstanceFacts, LeaseFacts, Step
    from domain.machines.phases import Power
    from domain.snapshots.snapshots import PAUSE_TAG
    from domain.workflow_contracts import InstanceInput

from workflows.failures import sentence_of
from workflows.options import COPY, RECORD, SHELL, VAULT, within
from workflows.wishes import Interrupted, Wishes

Record = Callable[[InstanceStatus, str], Awaitable[None]]
ENDING_PROGRAMS = timedelta(seconds=60)
VERIFYING = timedelta(minutes=10)
VERIFY_AGAIN = timedelta(minutes=5)


class Pausing:
    """The steps towards sleep. Each may be begun again from its beginning."""

    def __init__(self, input: InstanceInput, wishes: Wishes, record: Record) -> None:
        self._id = input.instance_id
        self._budget = input.snapshot_budget
        self._wishes = wishes
        self._record = record
        self._why_unsaved = ""
        self.steps: dict[Step, Callable[[InstanceFacts], Awaitable[None]]] = {
            Step.PAUSE: self._pause,
            Step.POWER_OFF: self._power_off,
            Step.RECORD_PAUSED: self._record_paused,
            Step.VERIFY: self._verify,
            Step.HIBERNATE: self._hibernate,
            Step.KEEP_PAUSED: self._keep_paused,
            Step.RECORD_HIBERNATED: self._record_hibernated,
            Step.FALL_ASLEEP: self._fall_asleep,
        }

    async def _pause(self, facts: InstanceFacts) -> None:
        """Save while it runs, end what runs, save what that changed, stop. A login on the way calls it off."""
        lease = _lease_of(facts)
        await self._record(InstanceStatus.PAUSING, "saving its files before its machine is stopped")
        snapshot_id = await self.save(tags=[PAUSE_TAG])
        await self._end_programs(lease)
        if snapshot_id is not None:
            snapshot_id = await self.save(tags=[PAUSE_TAG], final=True)
        if snapshot_id is None:
            await self._caution(
                f"Paused unprotected: {self._why_unsaved}. Its files are on its machine's disk and nowhere else."
            )
        stop = PowerRequest(
            instance_id=self._id, lease_id=lease.id, power=Power.STOPPED, ran=True, snapshot_id=snapshot_id
        )
        await workflow.execute_local_activity_method(SleepActivities.request_power, stop, **RECORD)

    async def save(self, *, tags: list[str], label: str | None = None, final: bool = False) -> str | None:
        """A snapshot of the files as they are on the present machine. None: it could not be made; `why_unsaved` knows.

        Raises:
            Interrupted
        """
        snapshot_id = id_from("snap", workflow.random())
        order = SnapshotOrder(snapshot_id=snapshot_id, instance_id=self._id, label=label, tags=tags, final=final)
        try:
            await workflow.execute_local_activity_method(VaultActivities.begin_snapshot, order, **RECORD)
            taking = workflow.start_activity_method(
                VaultActivities.take_snapshot,
                snapshot_id,
                summary="save what changed, the programs ended" if final else "save its files while it runs",
                **within(COPY, self._budget),
            )
            await self._wishes.unless_otherwise(taking)
        except Interrupted:
            await self._fail(snapshot_id, "Called off: the instance was wanted otherwise, or lost its machine.")
            raise
        except ActivityError as error:
            self._why_unsaved = sentence_of(error).rstrip(".")
            await self._fail(snapshot_id, self._why_unsaved)
            return None
        return snapshot_id

    @property
    def why_unsaved(self) -> str:
        return self._why_unsaved

    async def _fail(self, snapshot_id: str, message: str) -> None:
        failure = SnapshotFailure(snapshot_id=snapshot_id, message=message)
        await workflow.execute_local_activity_method(VaultActivities.fail_snapshot, failure, **RECORD)

    async def _end_programs(self, lease: LeaseFacts) -> None:
        """Best effort: a machine that does not let us in any more is stopped all the same."""
        try:
            ending = workflow.start_activity_method(
                ShellActivities.end_user_processes,
                lease.id,
                summary="end its user's programs",
                **within(SHELL, ENDING_PROGRAMS),
            )
            await self._wishes.unless_otherwise(ending)
        except ActivityError as error:
            workflow.logger.warning("instance %s: its programs were not ended: %s", self._id, sentence_of(error))

    async def _power_off(self, facts: InstanceFacts) -> None:
        stop = PowerRequest(instance_id=self._id, lease_id=_lease_of(facts).id, power=Power.STOPPED)
        await workflow.execute_local_activity_method(SleepActivities.request_power, stop, **RECORD)

    async def _record_paused(self, facts: InstanceFacts) -> None:
        lease = _lease_of(facts)
        saved = "its files are saved" if lease.is_saved else "its files are on its disk alone"
        await self._record(InstanceStatus.PAUSED, f"paused; {lease.gpu_name} is stopped, {saved}")

    async def _verify(self, facts: InstanceFacts) -> None:
        """On our side, while the machine costs its disk only."""
        if facts.snapshot is None:
            return
        verifying = workflow.start_activity_method(
            VaultActivities.verify_snapshot,
            facts.snapshot.id,
            summary="see that the snapshot can be restored",
            **within(VAULT, VERIFYING),
        )
        try:
            await self._wishes.unless_otherwise(verifying)
        except ActivityError as error:
            await self._caution(f"The snapshot {facts.snapshot.id} could not be verified: {sentence_of(error)}.")
            await self._wishes.wait(VERIFY_AGAIN)
            return
        await workflow.execute_activity_method(
            VaultActivities.forget_snapshots, self._id, summary="forget what is too old", **within(VAULT, VERIFYING)
        )

    async def _hibernate(self, _: InstanceFacts) -> None:
        await self._record(InstanceStatus.HIBERNATING, "its files are safe; giving its machine back")
        await workflow.execute_local_activity_method(SleepActivities.release_if_saved, self._id, **RECORD)

    async def _keep_paused(self, facts: InstanceFacts) -> None:
        why = "Not hibernated: its files are in no verified snapshot, and its machine's disk is all there is of them."
        await self._change_mind(facts, Desired.PAUSED, why)

    async def _record_hibernated(self, facts: InstanceFacts) -> None:
        if facts.desired is not Desired.HIBERNATED:
            why = "Its machine is gone while it was paused; it is hibernated, and a wake restores its last snapshot."
            await self._change_mind(facts, Desired.HIBERNATED, why)
        await self._record(InstanceStatus.HIBERNATED, "hibernated; nothing is rented, its files are in the vault")

    async def _fall_asleep(self, facts: InstanceFacts) -> None:
        """Its machine was stopped or lost under its user's hands: what is left waits for the next wake."""
        if facts.data_lease_is_open and facts.is_on_data_machine and _lease_of(facts).wanted:
            why = "Its machine was stopped at the provider, not by us; its disk is kept, and a wake starts it again."
            return await self._change_mind(facts, Desired.PAUSED, why)
        reason = "" if facts.lease is None else f" ({facts.lease.reason})"
        why = f"Its machine was lost{reason}. What was saved last is in the vault, and a wake restores it elsewhere."
        await self._change_mind(facts, Desired.HIBERNATED, why)

    async def _change_mind(self, facts: InstanceFacts, desired: Desired, why: str) -> None:
        change = ChangeOfMind(instance_id=self._id, seen=facts.desired, desired=desired, why=why)
        await workflow.execute_local_activity_method(SleepActivities.change_mind, change, **RECORD)

    async def _caution(self, text: str) -> None:
        caution = Caution(instance_id=self._id, text=text)
        await workflow.execute_local_activity_method(SleepActivities.warn, caution, **RECORD)


def _lease_of(facts: InstanceFacts) -> LeaseFacts:
    """The steps here are only decided for instances with a present lease."""
    if facts.lease is None:
        raise AssertionError("a step towards sleep without a machine")
    return facts.lease
