"""How an instance wakes: its machine started again, or another rented and its files restored, with one report."""

from collections.abc import Awaitable, Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.instances.power import Caution, ChangeOfMind, DataMachine, PowerRequest, SleepActivities, WakeEnding
    from activities.snapshots.restores import RestoreActivities, RestoreOrder
    from domain.instances.phases import Desired, InstanceStatus
    from domain.instances.steps import InstanceFacts, LeaseFacts, Step
    from domain.machines.phases import LeaseState, Power
    from domain.snapshots.snapshots import BEFORE_RESTORE_TAG

from workflows.failures import sentence_of
from workflows.options import COPY, RECORD
from workflows.pausing import Pausing, Record
from workflows.wishes import Wishes


class Waking:
    """The steps from sleep to a machine in use. Each may be begun again from its beginning."""

    def __init__(self, instance_id: int, wishes: Wishes, record: Record, pausing: Pausing) -> None:
        self._id = instance_id
        self._wishes = wishes
        self._record = record
        self._pausing = pausing
        self.steps: dict[Step, Callable[[InstanceFacts, str], Awaitable[None]]] = {
            Step.POWER_ON: self._power_on,
            Step.RECORD_DATA_MACHINE: self._settle,
            Step.RESTORE: self._restore,
            Step.RECORD_RUNNING: self._record_running,
            Step.RELEASE_OTHERS: self._release_others,
            Step.RETURN_TO_DATA_MACHINE: self._return_to_data_machine,
            Step.GIVE_UP_WAKE: self._give_up,
        }

    async def _power_on(self, facts: InstanceFacts, _: str) -> None:
        lease = _lease_of(facts)
        await self._record(InstanceStatus.RESUMING, f"starting its machine again, {_words(lease)}")
        start = PowerRequest(instance_id=self._id, lease_id=lease.id, power=Power.RUNNING)
        await workflow.execute_local_activity_method(SleepActivities.request_power, start, **RECORD)

    async def tell_of_another_machine(self, facts: InstanceFacts) -> None:
        """Before another machine is rented for an instance that has been on one."""
        if facts.data_lease_id is None or facts.status is InstanceStatus.FAILED:
            return
        refused = None if facts.lease is None else facts.lease.start_refused
        why = f"its machine does not start ({refused}); " if refused else ""
        await self._record(InstanceStatus.RESUMING, f"{why}renting another machine, to restore its files there")

    async def tell_of_the_boot(self, facts: InstanceFacts) -> None:
        """A first machine is rented and boots; a wake says so in its own words."""
        rented = facts.lease is not None and facts.lease.state is LeaseState.RENTED
        if rented and facts.status is InstanceStatus.PROVISIONING:
            await self._record(InstanceStatus.STARTING, f"{_words(_lease_of(facts))} is rented and boots")

    async def _settle(self, facts: InstanceFacts, _: str) -> None:
        await self._record_data_machine(facts)

    async def _restore(self, facts: InstanceFacts, _: str) -> None:
        """Put a snapshot's files on the machine. What is there already is saved first; what fails is no home."""
        lease, snapshot_id = _lease_of(facts), facts.restorable or ""
        await self._record(InstanceStatus.RESUMING, f"restoring the files of {snapshot_id} on {_words(lease)}")
        if facts.is_on_data_machine and await self._pausing.save(tags=[BEFORE_RESTORE_TAG]) is None:
            return await self._restore_failed(f"what is there could not be saved first: {self._pausing.why_unsaved}")
        order = RestoreOrder(instance_id=self._id, lease_id=lease.id, snapshot_id=snapshot_id)
        restoring = workflow.start_activity_method(
            RestoreActivities.restore, order, summary="restore and compare every file", **COPY
        )
        try:
            await self._wishes.unless_otherwise(restoring)
        except ActivityError as error:
            await self._restore_failed(sentence_of(error))
            if not facts.is_on_data_machine:
                await self._return_to_data_machine(facts, "")
            return
        await self._record_data_machine(facts, snapshot_id)

    async def _restore_failed(self, reason: str) -> None:
        text = f"A restore failed: {reason.rstrip('.')}."
        caution = Caution(instance_id=self._id, text=text, restore_failed=True)
        await workflow.execute_local_activity_method(SleepActivities.warn, caution, **RECORD)

    async def _record_data_machine(self, facts: InstanceFacts, snapshot_id: str | None = None) -> None:
        home = DataMachine(instance_id=self._id, lease_id=_lease_of(facts).id, snapshot_id=snapshot_id)
        await workflow.execute_local_activity_method(SleepActivities.record_data_machine, home, **RECORD)

    async def _record_running(self, facts: InstanceFacts, _: str) -> None:
        """The report first: who waits for the status reads it with it."""
        if facts.status is InstanceStatus.RESUMING:
            ending = WakeEnding(instance_id=self._id, worked=True)
            await workflow.execute_local_activity_method(SleepActivities.conclude_wake, ending, **RECORD)
        await self._record(InstanceStatus.RUNNING, f"running on {_words(_lease_of(facts))}")

    async def _release_others(self, _: InstanceFacts, __: str) -> None:
        """Only now, with the files at home here, is the machine given back that they came from."""
        await workflow.execute_local_activity_method(SleepActivities.release_others, self._id, **RECORD)

    async def _return_to_data_machine(self, _: InstanceFacts, __: str) -> None:
        await workflow.execute_local_activity_method(SleepActivities.return_to_data_machine, self._id, **RECORD)

    async def _give_up(self, facts: InstanceFacts, no_offer: str) -> None:
        """Back to sleep, with nothing lost, and the reason where the user looks."""
        refused = None if facts.lease is None else facts.lease.start_refused
        reason = no_offer or refused or "too many machines were tried in vain"
        ending = WakeEnding(instance_id=self._id, worked=False, reason=reason)
        await workflow.execute_local_activity_method(SleepActivities.conclude_wake, ending, **RECORD)
        change = ChangeOfMind(
            instance_id=self._id,
            seen=facts.desired,
            desired=Desired.PAUSED if facts.data_lease_is_open else Desired.HIBERNATED,
            why=f"It could not be woken: {reason}.",
            failed_wake=True,
        )
        await workflow.execute_local_activity_method(SleepActivities.change_mind, change, **RECORD)


def _words(lease: LeaseFacts) -> str:
    return f"{lease.gpu_name} at {lease.dph_total:.3f} USD/h"


def _lease_of(facts: InstanceFacts) -> LeaseFacts:
    """The steps here are only decided for instances with a present lease."""
    if facts.lease is None:
        raise AssertionError("a step of a wake without a machine")
    return facts.lease
