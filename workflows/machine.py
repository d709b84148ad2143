"""One lease's machine, from before it exists until the cloud says that it is gone."""

import asyncio
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError
from temporalio.exceptions import TimeoutError as DeadlinePassed

with workflow.unsafe.imports_passed_through():
    from activities.errors import Fault
    from activities.machines.leases import LeaseActivities, LeaseEnding
    from activities.machines.machines import MachineActivities
    from activities.machines.probing import ProbeActivities
    from domain.machines.machines import BootDecision, MachineSeen, boot_decision, is_lost
    from domain.machines.phases import LeaseOutcome, LeaseState
    from domain.workflow_contracts import LeaseView, MachineInput, MachineProgress, instance_workflow_id

from workflows.attributes import show_phase
from workflows.failures import fault_of, final, sentence_of
from workflows.keeping import keep
from workflows.options import CLOUD, RECORD, RELEASE, SHELL, within

OUTCOMES = {
    Fault.OFFER_GONE: LeaseOutcome.OFFER_GONE,
    Fault.ANSWER_LOST: LeaseOutcome.ANSWER_LOST,
    Fault.BOOT_FAILED: LeaseOutcome.BOOT_FAILED,
    Fault.MACHINE_LOST: LeaseOutcome.LOST,
}


@workflow.defn
class MachineWorkflow:
    """Rent one machine, hand it over working, hold it, and give it back for certain."""

    @workflow.init
    def __init__(self, input: MachineInput) -> None:
        self.input = input
        self._progress = MachineProgress()
        self._changed = False
        self.moved_at = workflow.now()
        self.lease: LeaseView
        self.beside: asyncio.Task[None]

    @workflow.query
    def progress(self) -> MachineProgress:
        return self._progress

    @workflow.signal
    def changed(self) -> None:
        """The lease's row changed: its holder may have let go."""
        self._changed = True

    @workflow.signal
    def seen(self, seen: MachineSeen) -> None:
        """The account's watch saw the machine in a new state."""
        self._progress.seen = seen
        self.moved_at = workflow.now()
        self._changed = True

    @property
    def last_seen(self) -> MachineSeen:
        return self._progress.seen

    @workflow.run
    async def run(self, input: MachineInput) -> None:
        try:
            await self._rent()
            if self.lease.state not in (LeaseState.RELEASING, LeaseState.CLOSED):
                await self._boot()
                await (keep(self) if self.lease.keeps_files else self._hold())
        except (FailureError, asyncio.CancelledError) as error:
            await self.look()
            await self._end(error)
        await self._release()

    async def _rent(self) -> None:
        self.say("renting", LeaseState.ASKED)
        self.lease = await workflow.execute_activity_method(
            MachineActivities.rent_machine, self.input.lease_id, summary="rent it, once", **CLOUD
        )
        if self._progress.seen.since is None:
            self._progress.seen = self.lease.seen

    async def _boot(self) -> None:
        if self.lease.state.is_held:
            return
        self.say("booting", LeaseState.RENTED)
        deadline = workflow.now() + self.input.boot_deadline
        await self.watch()
        self.beside = asyncio.create_task(self._attach_key())  # beside the boot, and nobody waits for it
        await self._await_up(deadline)
        self.say("checking SSH and the GPU", LeaseState.RENTED)
        await self.probe(deadline)

    async def watch(self) -> None:
        await workflow.execute_activity_method(
            LeaseActivities.watch_account, self.lease.account_id, summary="have it watched", **RECORD
        )

    async def _attach_key(self) -> None:
        """Best effort: onstart lets us in too."""
        try:
            await workflow.execute_activity_method(
                MachineActivities.attach_key, self.input.lease_id, summary="attach our SSH key", **CLOUD
            )
        except FailureError as error:
            workflow.logger.info("the platform does not keep our key: %s", sentence_of(error))

    async def _await_up(self, deadline: datetime) -> None:
        while (
            decision := boot_decision(self._progress.seen, workflow.now(), self.input.patience)
        ) is BootDecision.WAIT:
            if workflow.now() >= deadline:
                raise final(Fault.BOOT_FAILED, f"not up within {self.input.boot_deadline}: {self.seen_words()}")
            await self.await_change(self.settles_at(deadline))
        if decision is BootDecision.FAILED:
            raise final(Fault.BOOT_FAILED, f"the machine did not start: {self.seen_words()}")

    async def probe(self, deadline: datetime) -> None:
        try:
            await workflow.execute_activity_method(
                ProbeActivities.probe_machine,
                self.input.lease_id,
                summary="log in and try the GPU",
                **within(SHELL, deadline - workflow.now()),
            )
        except ActivityError as error:
            if isinstance(error.cause, DeadlinePassed):
                raise final(Fault.BOOT_FAILED, "SSH never let us in before the deadline") from error
            raise

    async def _hold(self) -> None:
        """Serve the holder until it lets go or the machine is lost. One that is to keep files from now on is kept."""
        self.say("working", LeaseState.RUNNING)
        await self.tell_holder()
        await self.watch()
        while True:
            if is_lost(self._progress.seen, workflow.now(), self.input.patience):
                raise final(Fault.MACHINE_LOST, f"the machine was lost: {self.seen_words()}")
            await self.await_change(self.settles_at(None))
            if self.lease.keeps_files:
                return await keep(self, with_agent=False)

    async def await_change(self, until: datetime | None) -> None:
        """Wait for news of the machine or of the holder's wishes, or for the moment to judge what was seen."""
        try:
            timeout = None if until is None else until - workflow.now()
            await workflow.wait_condition(lambda: self._changed, timeout=timeout)
        except TimeoutError:
            return
        self._changed = False
        await self.look()
        if not self.lease.wanted:
            raise final(Fault.NOT_WANTED, "released by its holder")

    def settles_at(self, latest: datetime | None) -> datetime | None:
        """When what was last seen, if it stays so, has lasted long enough to be believed."""
        since = self._progress.seen.since
        settles = None if since is None else since + self.input.patience
        if settles is None or settles <= workflow.now():
            return latest
        return settles if latest is None else min(settles, latest)

    async def _end(self, error: BaseException) -> None:
        """From here the lease is only being released."""
        served = self._progress.state.is_held
        outcome = LeaseOutcome.SERVED if served else LeaseOutcome.CANCELLED
        fault = fault_of(error)
        if fault is not Fault.NOT_WANTED:
            outcome = LeaseOutcome.REFUSED if fault is None else OUTCOMES.get(fault, LeaseOutcome.REFUSED)
        ending = LeaseEnding(lease_id=self.input.lease_id, outcome=outcome, reason=sentence_of(error))
        self.say(f"releasing: {ending.reason}", LeaseState.RELEASING)
        await workflow.execute_local_activity_method(LeaseActivities.record_ending, ending, **RECORD)

    async def _release(self) -> None:
        await self.tell_holder()
        await workflow.execute_activity_method(
            MachineActivities.release_machine, self.input.lease_id, summary="destroy, until it is gone", **RELEASE
        )
        self.say("gone", LeaseState.CLOSED)
        await self.tell_holder()

    async def tell_holder(self) -> None:
        try:
            await workflow.get_external_workflow_handle(instance_workflow_id(self.lease.instance_id)).signal("changed")
        except FailureError:
            workflow.logger.info("the holder is not running; it reads its rows when it starts")

    async def look(self) -> None:
        self.lease = await workflow.execute_local_activity_method(
            LeaseActivities.look_at_lease, self.input.lease_id, **RECORD
        )

    def say(self, message: str, state: LeaseState) -> None:
        self._progress.message, self._progress.state = message, state
        show_phase(state.value, f"**{self.input.summary}**\n\n{message}")

    def seen_words(self) -> str:
        seen = self._progress.seen
        return f"{seen.state} ({seen.message})" if seen.message else seen.state.value
