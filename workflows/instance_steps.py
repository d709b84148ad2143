"""The steps of an instance: how it gets its machine, falls asleep, wakes, and ends. Each step has one handler.

Each may be begun again from its beginning: whoever takes it over finds in the rows what was done.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.errors import Fault
    from activities.instances.instances import InstanceActivities, ReleaseRequest, StatusChange
    from activities.instances.power import (
        Caution,
        DataMachine,
        DesiredChange,
        InstancePowerActivities,
        PowerRequest,
        WakeEnding,
    )
    from activities.machines.shell import ShellActivities
    from activities.snapshots.restores import RestoreActivities, RestoreOrder
    from activities.snapshots.vault import SnapshotFailure, SnapshotOrder, VaultActivities
    from domain.ids import id_from
    from domain.instances.phases import Desired, InstanceStatus
    from domain.instances.steps import InstanceFacts, LeaseFacts, Step
    from domain.machines.phases import LeaseState, Power
    from domain.snapshots.snapshots import BEFORE_RESTORE_TAG, PAUSE_TAG
    from domain.workflow_contracts import InstanceInput

from workflows.attributes import show_phase
from workflows.failures import fault_of, reason_of
from workflows.interruptible import Interrupted, Rows
from workflows.options import CLOUD, COPY, RECORD, SHELL, VAULT, within

ENDING_PROGRAMS = timedelta(seconds=60)
VERIFYING = timedelta(minutes=10)
VERIFY_AGAIN = timedelta(minutes=5)
WRITTEN_ON = (
    "Paused unprotected: its programs could not all be ended, so what they wrote last may be in no snapshot. Its "
    "newest files are on its machine's disk, which is kept."
)
Handler = Callable[[InstanceFacts], Awaitable[InstanceFacts | None]]
"""Returns what is known to hold after it, where its last word was to read that."""


class InstanceSteps:
    def __init__(self, input: InstanceInput, rows: Rows[InstanceFacts]) -> None:
        self._id = input.instance_id
        self._budget = input.snapshot_budget
        self._state = input.state
        self._rows = rows
        self._handlers: dict[Step, Handler] = {
            Step.RESERVE: self._reserve,
            Step.WAIT_FOR_MACHINE: self._await_machine,
            Step.RECORD_RUNNING: self._record_running,
            Step.REQUEST_RELEASE: self._request_release,
            Step.RELEASE_OTHERS: self._release_others,
            Step.CONCLUDE_DESTROYED: self._conclude_destroyed,
            Step.CONCLUDE_FAILED: self._conclude_failed,
            Step.PAUSE: self._pause,
            Step.POWER_OFF: self._power_off,
            Step.RECORD_PAUSED: self._record_paused,
            Step.VERIFY: self._verify,
            Step.HIBERNATE: self._hibernate,
            Step.KEEP_PAUSED: self._keep_paused,
            Step.RECORD_HIBERNATED: self._record_hibernated,
            Step.FALL_ASLEEP: self._fall_asleep,
            Step.POWER_ON: self._power_on,
            Step.RECORD_DATA_MACHINE: self._record_data_machine,
            Step.RESTORE: self._restore,
            Step.RETURN_TO_DATA_MACHINE: self._return_to_data_machine,
            Step.GIVE_UP_WAKE: self._give_up_wake,
        }

    async def take(self, step: Step, facts: InstanceFacts) -> InstanceFacts | None:
        """
        Raises:
            Interrupted: the rows said otherwise in the middle of it.
        """
        return await self._handlers[step](facts)

    # Its machine

    async def _reserve(self, facts: InstanceFacts) -> None:
        """The next offer. When there is none, the reason of the last attempt says more than that.

        Raises:
            Interrupted
        """
        await self._tell_of_another_machine(facts)
        reserving = workflow.start_activity_method(
            InstanceActivities.reserve_machine, self._id, summary="choose and reserve the best free offer", **CLOUD
        )
        try:
            await self._rows.unless(reserving, is_wanted_otherwise)
        except ActivityError as error:
            if fault_of(error) is Fault.NOT_WANTED:
                raise Interrupted from error
            before = "" if facts.lease is None else f" Before that: {facts.lease.reason}."
            self._state.gave_up = f"{reason_of(error)}{before}"

    async def _tell_of_another_machine(self, facts: InstanceFacts) -> None:
        """Before another machine is rented for an instance that has been on one."""
        if facts.data_lease_id is not None:
            refused = None if facts.lease is None else facts.lease.start_refused
            why = f"its machine does not start ({refused}); " if refused else ""
            text = f"{why}renting another machine, to restore its files there"
            await self._record(InstanceStatus.RESUMING, text, warning=_caveat(facts))
        elif facts.was_running and facts.status is InstanceStatus.RUNNING:
            reason = "" if facts.lease is None else f" ({facts.lease.reason})"
            await self._record(InstanceStatus.PROVISIONING, f"its machine was lost{reason}; renting another one")

    async def _await_machine(self, facts: InstanceFacts) -> None:
        """See that the lease's MachineWorkflow runs (the api may have started it already), and say how far it is."""
        lease = _lease_of(facts)
        if self._state.served_lease != lease.id:
            await workflow.execute_local_activity_method(
                InstanceActivities.start_machine, lease.id, summary="see that its machine's flow runs", **RECORD
            )
            self._state.served_lease = lease.id
        booting = lease.state is LeaseState.RENTED and facts.status is InstanceStatus.PROVISIONING
        if booting and facts.lifecycle.keeps_files:
            await self._record(InstanceStatus.STARTING, f"{_words(lease)} is rented and boots")
        self._show(facts.status, f"{lease.state} {_words(lease)}")
        await self._rows.wait()

    async def _record_running(self, facts: InstanceFacts) -> InstanceFacts:
        """The report of a wake first: who waits for the status reads it with it."""
        if facts.status is InstanceStatus.RESUMING:
            await self._conclude_wake(WakeEnding(instance_id=self._id, worked=True))
        return await self._record(InstanceStatus.RUNNING, f"running on {_words(_lease_of(facts))}")

    async def _request_release(self, facts: InstanceFacts) -> InstanceFacts:
        await self._record(InstanceStatus.DESTROYING, "its machine is being released")
        request = ReleaseRequest(lease_id=_lease_of(facts).id, instance_id=self._id)
        return await workflow.execute_local_activity_method(
            InstanceActivities.request_release, request, summary="ask for its machine's release", **RECORD
        )

    async def _release_others(self, _: InstanceFacts) -> None:
        """Only now, with the files on the present machine, is the one given back that they came from."""
        await workflow.execute_local_activity_method(
            InstancePowerActivities.release_others, self._id, summary="release all but the present machine", **RECORD
        )

    async def _conclude_destroyed(self, _: InstanceFacts) -> InstanceFacts:
        return await self._record(InstanceStatus.DESTROYED, "destroyed; its machine is released")

    async def _conclude_failed(self, facts: InstanceFacts) -> InstanceFacts:
        return await self._record(InstanceStatus.FAILED, self._state.gave_up or _why_failed(facts))

    # Falling asleep: its files saved, its programs ended, its machine stopped; later given back

    async def _pause(self, facts: InstanceFacts) -> InstanceFacts:
        """Save while it runs, end what runs, save what that changed, stop. A login on the way calls it off."""
        lease = _lease_of(facts)
        await self._record(InstanceStatus.PAUSING, "saving its files before its machine is stopped")
        snapshot_id = await self._save(tags=[PAUSE_TAG])
        ended = await self._end_programs(lease)
        if snapshot_id is not None:
            snapshot_id = await self._save(tags=[PAUSE_TAG], final=ended)
        if snapshot_id is None:
            why = self._state.why_unsaved
            await self._caution(f"Paused unprotected: {why}. Its files are on its machine's disk and nowhere else.")
        elif not ended:
            await self._caution(WRITTEN_ON)
        saved = snapshot_id if ended else None
        return await self._request_power(
            PowerRequest(instance_id=self._id, lease_id=lease.id, power=Power.STOPPED, ran=True, snapshot_id=saved)
        )

    async def _save(self, *, tags: list[str], final: bool = False) -> str | None:
        """A snapshot of the files as they are on the present machine. None: it could not be made; the state says why.

        Raises:
            Interrupted
        """
        snapshot_id = id_from("snap", workflow.random())
        order = SnapshotOrder(snapshot_id=snapshot_id, instance_id=self._id, tags=tags, final=final)
        try:
            await workflow.execute_local_activity_method(
                VaultActivities.begin_snapshot, order, summary="begin a snapshot", **RECORD
            )
            taking = workflow.start_activity_method(
                VaultActivities.take_snapshot,
                snapshot_id,
                summary="save what changed, its programs ended" if final else "save its files while it runs",
                **within(COPY, self._budget),
            )
            await self._rows.unless(taking, is_otherwise)
        except Interrupted:
            await self._fail_snapshot(
                snapshot_id, "Called off: the instance was wanted otherwise, or lost its machine."
            )
            raise
        except ActivityError as error:
            self._state.why_unsaved = reason_of(error).rstrip(".")
            await self._fail_snapshot(snapshot_id, self._state.why_unsaved)
            return None
        return snapshot_id

    async def _fail_snapshot(self, snapshot_id: str, message: str) -> None:
        failure = SnapshotFailure(snapshot_id=snapshot_id, message=message)
        await workflow.execute_local_activity_method(
            VaultActivities.fail_snapshot, failure, summary="say why there is no snapshot", **RECORD
        )

    async def _end_programs(self, lease: LeaseFacts) -> bool:
        """Whether none is left. A machine that keeps some, or does not let us in any more, is stopped all the same.

        Raises:
            Interrupted
        """
        try:
            ending = workflow.start_activity_method(
                ShellActivities.end_user_processes,
                lease.id,
                summary="end its user's programs",
                **within(SHELL, ENDING_PROGRAMS),
            )
            return (await self._rows.unless(ending, is_otherwise)).left == 0
        except ActivityError as error:
            if fault_of(error) is Fault.NOT_WANTED:
                raise Interrupted from error
            workflow.logger.warning("instance %s: its programs were not ended: %s", self._id, reason_of(error))
            return False

    async def _power_off(self, facts: InstanceFacts) -> InstanceFacts:
        lease = _lease_of(facts)
        return await self._request_power(PowerRequest(instance_id=self._id, lease_id=lease.id, power=Power.STOPPED))

    async def _record_paused(self, facts: InstanceFacts) -> InstanceFacts:
        lease = _lease_of(facts)
        if facts.lifecycle.keeps_files:
            where = "its files are saved" if lease.is_saved else "its files are on its disk alone"
        else:
            where = "what is on its disk is kept"
        return await self._record(InstanceStatus.PAUSED, f"paused; {lease.gpu_name} is stopped, {where}")

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
            await self._rows.unless(verifying, is_otherwise)
        except ActivityError as error:
            await self._caution(f"The snapshot {facts.snapshot.id} could not be verified: {reason_of(error)}.")
            return await self._rows.wait(VERIFY_AGAIN, "it is verified again then")
        await self._tidy()

    async def _tidy(self) -> None:
        """Forget what is too old. Nobody who wakes it waits for that: what is left, the next snapshot's flow forgets.

        Raises:
            Interrupted
        """
        forgetting = workflow.start_activity_method(
            VaultActivities.forget_snapshots, self._id, summary="forget what is too old", **within(VAULT, VERIFYING)
        )
        try:
            await self._rows.unless(forgetting, is_otherwise)
        except ActivityError as error:
            workflow.logger.warning("the vault of instance %s is not tidied: %s", self._id, reason_of(error))

    async def _hibernate(self, _: InstanceFacts) -> None:
        await self._record(InstanceStatus.HIBERNATING, "its files are safe; giving its machine back")
        await workflow.execute_local_activity_method(
            InstancePowerActivities.release_if_saved, self._id, summary="release its machine, if all is saved", **RECORD
        )

    async def _keep_paused(self, facts: InstanceFacts) -> None:
        why = "Not hibernated: no verified snapshot holds all its files, so its machine's disk is kept."
        await self._change_desired(facts, Desired.PAUSED, why)

    async def _record_hibernated(self, facts: InstanceFacts) -> InstanceFacts:
        caveat = _caveat(facts)
        if facts.desired is not Desired.HIBERNATED:
            why = "Its machine is gone while it was paused; it is hibernated, and a wake restores its last snapshot."
            await self._change_desired(facts, Desired.HIBERNATED, f"{why} {caveat}".rstrip())
        message = "hibernated; nothing is rented, its files are in the vault"
        return await self._record(
            InstanceStatus.HIBERNATED, f"{message}. {caveat}" if caveat else message, warning=caveat
        )

    async def _fall_asleep(self, facts: InstanceFacts) -> None:
        """Its machine was stopped or lost under its user's hands: what is left waits for the next wake."""
        if facts.data_lease_is_open and facts.is_on_data_machine and _lease_of(facts).wanted:
            why = "Its machine was stopped at the provider, not by us; its disk is kept, and a wake starts it again."
            return await self._change_desired(facts, Desired.PAUSED, why)
        reason = "" if facts.lease is None else f" ({facts.lease.reason})"
        why = f"Its machine was lost{reason}. What was saved last is in the vault, and a wake restores it elsewhere."
        await self._change_desired(facts, Desired.HIBERNATED, f"{why} {_caveat(facts)}".rstrip())

    # Waking: its machine started again, or another rented and its files restored, with one report

    async def _power_on(self, facts: InstanceFacts) -> InstanceFacts:
        lease = _lease_of(facts)
        await self._record(InstanceStatus.RESUMING, f"starting its machine again, {_words(lease)}")
        return await self._request_power(PowerRequest(instance_id=self._id, lease_id=lease.id, power=Power.RUNNING))

    async def _record_data_machine(self, facts: InstanceFacts, snapshot_id: str | None = None) -> None:
        machine = DataMachine(instance_id=self._id, lease_id=_lease_of(facts).id, snapshot_id=snapshot_id)
        await workflow.execute_local_activity_method(
            InstancePowerActivities.record_data_machine, machine, summary="its files are on this machine now", **RECORD
        )

    async def _restore(self, facts: InstanceFacts) -> None:
        """Put a snapshot's files on the machine. What is there already is saved first."""
        lease, snapshot_id = _lease_of(facts), facts.restorable or ""
        await self._record(InstanceStatus.RESUMING, f"restoring the files of {snapshot_id} on {_words(lease)}")
        if facts.is_on_data_machine and await self._save(tags=[BEFORE_RESTORE_TAG]) is None:
            why = f"what is there could not be saved first: {self._state.why_unsaved}"
            return await self._restore_failed(why)
        order = RestoreOrder(instance_id=self._id, lease_id=lease.id, snapshot_id=snapshot_id)
        restoring = workflow.start_activity_method(
            RestoreActivities.restore, order, summary="restore and compare every file", **COPY
        )
        try:
            await self._rows.unless(restoring, is_otherwise)
        except ActivityError as error:
            await self._restore_failed(reason_of(error))
            if not facts.is_on_data_machine:
                await self._return_to_data_machine(facts)
            return
        await self._record_data_machine(facts, snapshot_id)

    async def _restore_failed(self, reason: str) -> None:
        await self._caution(f"A restore failed: {reason.rstrip('.')}.", restore_failed=True)

    async def _return_to_data_machine(self, _: InstanceFacts) -> None:
        await workflow.execute_local_activity_method(
            InstancePowerActivities.return_to_data_machine,
            self._id,
            summary="back to the machine that has its files",
            **RECORD,
        )

    async def _give_up_wake(self, facts: InstanceFacts) -> None:
        """Back to sleep, with nothing lost, and the reason where the user looks."""
        refused = None if facts.lease is None else facts.lease.start_refused
        if refused and facts.lease is not None and not facts.lease.is_saved:
            refused += "; its newest files are on that machine's disk alone, so it does not move to another one"
        reason = self._state.gave_up or refused or "too many machines were tried in vain"
        self._state.gave_up = ""
        await self._conclude_wake(WakeEnding(instance_id=self._id, worked=False, reason=reason))
        asleep = Desired.PAUSED if facts.data_lease_is_open else Desired.HIBERNATED
        await self._change_desired(facts, asleep, f"It could not be woken: {reason}.", failed_wake=True)

    # What several steps do

    async def _record(self, status: InstanceStatus, message: str, *, warning: str = "") -> InstanceFacts:
        self._show(status, message)
        change = StatusChange(instance_id=self._id, status=status, message=message, warning=warning)
        return await workflow.execute_local_activity_method(
            InstanceActivities.record_instance, change, summary=f"{status.value}: {message}"[:200], **RECORD
        )

    async def _request_power(self, request: PowerRequest) -> InstanceFacts:
        what = "stop" if request.power is Power.STOPPED else "start"
        return await workflow.execute_local_activity_method(
            InstancePowerActivities.request_power, request, summary=f"have its machine {what}", **RECORD
        )

    async def _change_desired(
        self, facts: InstanceFacts, desired: Desired, why: str, *, failed_wake: bool = False
    ) -> None:
        change = DesiredChange(
            instance_id=self._id, seen=facts.desired, desired=desired, why=why, failed_wake=failed_wake
        )
        await workflow.execute_local_activity_method(
            InstancePowerActivities.change_desired, change, summary=f"what can be: {desired.value}", **RECORD
        )

    async def _caution(self, text: str, *, restore_failed: bool = False) -> None:
        caution = Caution(instance_id=self._id, text=text, restore_failed=restore_failed)
        await workflow.execute_local_activity_method(
            InstancePowerActivities.warn, caution, summary="warn its owner", **RECORD
        )

    async def _conclude_wake(self, ending: WakeEnding) -> None:
        await workflow.execute_local_activity_method(
            InstancePowerActivities.conclude_wake, ending, summary="write the report of the wake", **RECORD
        )

    def _show(self, status: InstanceStatus, message: str) -> None:
        show_phase(status.value, f"**instance {self._id}**: {message}")


def is_wanted_otherwise(before: InstanceFacts, now: InstanceFacts) -> bool:
    return now.desired is not before.desired or now.restore_requested != before.restore_requested


def is_otherwise(before: InstanceFacts, now: InstanceFacts) -> bool:
    """Whether the owner wants something else by now, or the machine is another's business."""
    if is_wanted_otherwise(before, now):
        return True
    if before.lease is None or now.lease is None:
        return before.lease is not now.lease
    return (now.lease.id, now.lease.state, now.lease.wanted) != (
        before.lease.id,
        before.lease.state,
        before.lease.wanted,
    )


def _lease_of(facts: InstanceFacts) -> LeaseFacts:
    if facts.lease is None:
        raise AssertionError("a step on a machine, decided without one")
    return facts.lease


def _caveat(facts: InstanceFacts) -> str:
    """What its owner has to know of the copy of its files that a wake restores, when that is all there is of them."""
    if facts.snapshot is None or facts.restorable != facts.snapshot.id:
        return ""
    return facts.snapshot.caveat


def _words(lease: LeaseFacts) -> str:
    return f"{lease.gpu_name} at {lease.price_usd_per_hour:.3f} USD/h"


def _why_failed(facts: InstanceFacts) -> str:
    reason = "no machine" if facts.lease is None else facts.lease.reason
    if facts.was_running and not facts.lifecycle.replaced_when_lost:
        return f"The machine was lost: {reason}"
    return f"{facts.attempts} offer(s) were tried, none worked. The last one: {reason}"
