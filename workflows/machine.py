"""One lease's machine, from before it exists until the cloud says that it is gone."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.errors import Fault
    from activities.machines.agents import AgentActivities
    from activities.machines.leases import LeaseActivities, LeaseEnding, LeaseNews
    from activities.machines.machines import MachineActivities
    from activities.machines.power import PowerActivities, StartFailure
    from activities.machines.probing import ProbeActivities
    from activities.machines.shell import ShellActivities
    from activities.machines.witness import Suspicion, WitnessActivities
    from domain.machines.machines import BootDecision, MachineSeen, Seen, believed_at, boot_decision
    from domain.machines.phases import LeaseOutcome, LeaseState
    from domain.machines.power import PowerStep, next_power_step, overdue_at
    from domain.workflow_contracts import LeaseView, MachineInput

from workflows.attributes import show_phase
from workflows.failures import fault_of, final, is_out_of_time, reason_of
from workflows.interruptible import through_cancels
from workflows.options import BRING, CLOUD, RECORD, RELEASE, SHELL, within

EVENTS_BEFORE_ROLLING_OVER = 2000
INSTALLING, BRINGING = timedelta(minutes=5), timedelta(minutes=30)
ASKING_WITNESSES = timedelta(minutes=2)
LEAST_WAIT = timedelta(milliseconds=200)
GO_ON_AFTER = timedelta(seconds=5)
OUTCOMES = {
    Fault.OFFER_GONE: LeaseOutcome.OFFER_GONE,
    Fault.ANSWER_LOST: LeaseOutcome.ANSWER_LOST,
    Fault.BOOT_FAILED: LeaseOutcome.BOOT_FAILED,
    Fault.MACHINE_LOST: LeaseOutcome.LOST,
}
RECORDS = {
    PowerStep.RECORD_STOPPED: PowerActivities.record_stopped,
    PowerStep.FOUND_STOPPED: PowerActivities.record_found_stopped,
    PowerStep.FOUND_RUNNING: PowerActivities.record_found_running,
}


@workflow.defn
class MachineWorkflow:
    """Rent one machine, hand it over working, hold it, and give it back for certain."""

    @workflow.init
    def __init__(self, input: MachineInput) -> None:
        self._input = input
        self._lease_id = input.lease_id
        self._state = input.state
        self._changed = self._heard = False
        self._served = False
        self._lease: LeaseView
        self._equipping: asyncio.Task[None] | None = None
        self._beside: asyncio.Task[None]
        """What goes on beside everything else, best effort."""

    @workflow.signal
    def changed(self, because: str = "") -> None:
        """The lease's row changed: its holder may need the machine no longer, or wants it stopped or started."""
        self._changed = True

    @workflow.signal
    def seen(self, seen: MachineSeen) -> None:
        """The account's watch saw the machine in a new state."""
        self._state.seen, self._state.moved_at = seen, workflow.now()
        self._heard = True

    @workflow.run
    async def run(self, input: MachineInput) -> None:
        await through_cancels(self._live(), self.changed)

    async def _live(self) -> None:
        while (error := await self._serve()) is not None:
            if self._is_to_end(error) and await self._end(error):
                break
            workflow.logger.error("%s goes on, in spite of: %s", self._lease_id, reason_of(error))
            self._continue_as_new_if_long()
            await workflow.sleep(GO_ON_AFTER, summary="look again then")
        await self._release(error)

    async def _serve(self) -> FailureError | None:
        """From where its rows are to its end; why it is released. None: it is being released already."""
        try:
            await self._rent()
            if not self._is_ending:
                await self._watch()
                await self._boot()
                await self._hold()
        except ActivityError as error:
            await self._look()
            return error
        except FailureError as error:  # our own conclusion, from rows just read
            return error
        return None

    def _is_to_end(self, error: FailureError) -> bool:
        """Once handed over, a machine goes when its row says so, or it is lost: never because a step of ours failed.

        Lost by the row as it is now: it may have come to keep files since, and then it is lost only when it is gone.
        """
        if not (self._served and self._lease.wanted):
            return True
        return fault_of(error) is Fault.MACHINE_LOST and self._next_power_step() is PowerStep.LOST

    # From nothing to a machine that works

    async def _rent(self) -> None:
        self._say("renting", LeaseState.ASKED)
        self._lease = await workflow.execute_activity_method(
            MachineActivities.rent_machine, self._lease_id, summary="rent it, once", **CLOUD
        )
        if self._state.seen.since is None:
            self._state.seen = self._lease.seen

    async def _boot(self) -> None:
        if self._lease.state.is_held:
            return await self._tell_holder("its machine is served anew")  # the word of the last run may be lost
        self._say("booting", LeaseState.RENTED)
        deadline = workflow.now() + self._input.boot_deadline
        self._beside = asyncio.create_task(self._attach_key())  # beside the boot, and nobody waits for it
        await self._await_up(deadline)
        self._say("checking SSH and the GPU", LeaseState.RENTED)
        await self._probe(deadline)

    async def _watch(self) -> None:
        await workflow.execute_local_activity_method(
            LeaseActivities.watch_account, self._lease.account_id, summary="have its account watched", **RECORD
        )

    async def _attach_key(self) -> None:
        """Best effort: the startup script lets us in too."""
        try:
            await workflow.execute_activity_method(
                MachineActivities.attach_key, self._lease_id, summary="attach our SSH key", **CLOUD
            )
        except FailureError as error:
            workflow.logger.info("the platform does not keep our key: %s", reason_of(error))

    async def _await_up(self, deadline: datetime) -> None:
        while (decision := boot_decision(self._state.seen, workflow.now(), self._input.patience)) is BootDecision.WAIT:
            if workflow.now() >= deadline:
                await self._look()  # it was not told of all that was seen
                self._state.seen = self._lease.seen
                if self._state.seen.state is Seen.UP:
                    return
                raise final(Fault.BOOT_FAILED, f"not up within {self._input.boot_deadline}: {self._seen_words()}")
            await self._await_change(self._settles_at(deadline), "it has to be up by then")
        if decision is BootDecision.FAILED:
            raise final(Fault.BOOT_FAILED, f"the machine did not start: {self._seen_words()}")

    async def _probe(self, deadline: datetime) -> None:
        try:
            self._lease = await workflow.execute_activity_method(
                ProbeActivities.probe_machine,
                self._lease_id,
                summary="log in and try the GPU",
                **within(SHELL, deadline - workflow.now()),
            )
        except ActivityError as error:
            await self._look()
            if self._lease.state is LeaseState.RUNNING:  # its holder was told, though we never heard of it
                return
            if is_out_of_time(error):
                raise final(Fault.BOOT_FAILED, "SSH never let us in before the deadline") from error
            raise

    # Held: it runs, is stopped and started again as its holder wants

    async def _hold(self) -> None:
        """Serve the holder until it needs the machine no longer, or the machine is lost.

        Raises:
            FailureError: NOT_WANTED, MACHINE_LOST
        """
        self._served = True
        self._say("working", self._lease.state)
        self._raise_if_unwanted()  # its word may have come before this run began
        if self._lease.has_agent and self._lease.state is LeaseState.RUNNING and self._equipping is None:
            self._equipping = asyncio.create_task(self._equip())  # nobody waits for it
        while (step := self._next_power_step()) is not PowerStep.LOST or not await self._is_surely_lost():
            if step is PowerStep.WAIT:
                await self._await_change(self._decide_again_at(), "what was seen has lasted long enough by then")
                self._continue_as_new_if_long()
            elif step is not PowerStep.LOST:
                await self._carry_out(step)
        raise final(Fault.MACHINE_LOST, f"the machine was lost: {self._seen_words()}")

    async def _is_surely_lost(self) -> bool:
        """Whether no witness speaks against it. After one that does, or cannot be heard, its count begins again."""
        suspicion = Suspicion(lease_id=self._lease_id, is_denied=self._state.seen.state is Seen.ABSENT)
        try:
            witness = await workflow.execute_activity_method(
                WitnessActivities.ask_witnesses,
                suspicion,
                summary="does anybody still know it",
                **within(CLOUD, ASKING_WITNESSES),
            )
        except ActivityError as error:
            witness = f"no witness could be asked: {reason_of(error)}"
        await self._look()  # it may have been seen again meanwhile, or its holder may keep its files there by now
        if self._lease.seen.state is not self._state.seen.state:
            self._state.seen = self._lease.seen  # its word was of a look that never came to stand in the row
        if witness is None:
            return self._next_power_step() is PowerStep.LOST
        workflow.logger.warning("%s: %s, but %s", self._lease_id, self._seen_words(), witness)
        self._state.seen.since = workflow.now()
        return False

    def _next_power_step(self) -> PowerStep:
        return next_power_step(
            self._lease.state,
            self._lease.power,
            self._state.seen,
            now=workflow.now(),
            patience=self._input.patience,
            moved_at=self._moved_at,
            stall=self._input.stall,
            start_refused=self._lease.start_refused,
            keeps_files=self._lease.keeps_files,
        )

    def _continue_as_new_if_long(self) -> None:
        if workflow.info().get_current_history_length() > EVENTS_BEFORE_ROLLING_OVER:
            workflow.continue_as_new(self._input.model_copy(update={"state": self._state}))

    async def _carry_out(self, step: PowerStep) -> None:
        if step is PowerStep.SWITCH_OFF:
            await self._ask(PowerActivities.switch_off, "stop it, keeping its disk")
        elif step is PowerStep.SWITCH_ON:
            await self._switch_on()
        elif step is PowerStep.PROBE:
            await self._probe_again()
        elif step is PowerStep.GIVE_UP_START:
            await self._give_up_start(f"it showed no progress for {self._input.stall}: {self._seen_words()}")
        else:
            words = step.value.replace("_", " ")
            self._lease = await workflow.execute_local_activity_method(
                RECORDS[step], self._lease_id, summary=words, **RECORD
            )
            if step is PowerStep.FOUND_STOPPED and self._lease.state is LeaseState.RUNNING:
                self._state.seen = self._lease.seen  # the row knows nothing of it
        self._say(step.value.replace("_", " "), self._lease.state)

    async def _equip(self) -> None:
        """Best effort: without an agent, everything on the machine counts as in use, and it is tried again later."""
        try:
            await workflow.execute_activity_method(
                AgentActivities.install_agent,
                self._lease_id,
                summary="put our agent there",
                **within(SHELL, INSTALLING),
            )
            await workflow.execute_activity_method(
                ShellActivities.bring_rsync, self._lease_id, summary="have rsync there", **within(BRING, BRINGING)
            )
        except FailureError as error:
            workflow.logger.info("%s lacks an agent or rsync: %s", self._lease_id, reason_of(error))

    async def _switch_on(self) -> None:
        try:
            await self._ask(PowerActivities.switch_on, "start it again")
        except ActivityError as error:
            if fault_of(error) is not Fault.START_REFUSED:
                raise
            await self._give_up_start(reason_of(error))

    async def _ask(self, switch: Callable[[PowerActivities, str], Awaitable[LeaseView]], summary: str) -> None:
        self._state.moved_at = workflow.now()
        self._lease = await workflow.execute_activity_method(switch, self._lease_id, summary=summary, **CLOUD)
        await self._watch()

    async def _give_up_start(self, reason: str) -> None:
        failure = StartFailure(lease_id=self._lease_id, reason=reason)
        self._lease = await workflow.execute_activity_method(
            PowerActivities.give_up_start, failure, summary="cancel the start, for good", **RELEASE
        )

    async def _probe_again(self) -> None:
        """SSH and the GPU have to work after a start too; what does not come up is given up like any start."""
        try:
            await self._probe(self._moved_at + self._input.stall)
        except FailureError as error:
            if fault_of(error) is Fault.NOT_WANTED:
                raise
            await self._give_up_start(reason_of(error))

    @property
    def _moved_at(self) -> datetime:
        return self._state.moved_at or workflow.info().start_time

    def _decide_again_at(self) -> datetime | None:
        """When to decide anew though nothing was heard: a start that stalls, a stop without effect, a look believed."""
        settles = self._settles_at(None)
        overdue = overdue_at(
            self._lease.state,
            self._state.seen,
            patience=self._input.patience,
            moved_at=self._moved_at,
            stall=self._input.stall,
        )
        if overdue is None:
            return settles
        due = max(overdue, workflow.now() + LEAST_WAIT)
        return due if settles is None else min(due, settles)

    # Its end

    async def _end(self, error: BaseException) -> bool:
        """From here the lease is only being released, unless its holder came to keep its files there meanwhile."""
        fault = fault_of(error)
        outcome = LeaseOutcome.SERVED if self._served else LeaseOutcome.CANCELLED
        if fault is not Fault.NOT_WANTED:
            outcome = LeaseOutcome.REFUSED if fault is None else OUTCOMES.get(fault, LeaseOutcome.REFUSED)
        ending = LeaseEnding(
            lease_id=self._lease_id,
            outcome=outcome,
            reason=reason_of(error),
            keeps_files=self._lease.keeps_files,
        )
        self._lease = await workflow.execute_local_activity_method(
            LeaseActivities.record_ending, ending, summary="why it is released", **RECORD
        )
        self._say(f"releasing: {ending.reason}", LeaseState.RELEASING)
        return self._is_ending

    async def _release(self, why: FailureError | None) -> None:
        if why is None or fault_of(why) is not Fault.NOT_WANTED:  # who asked for that knows
            await self._tell_holder("its machine is being released")
        await workflow.execute_activity_method(
            MachineActivities.release_machine, self._lease_id, summary="destroy, until it is gone", **RELEASE
        )
        self._say("gone", LeaseState.CLOSED)
        await self._tell_holder("its machine is gone")

    # What several of them do

    async def _await_change(self, until: datetime | None, what_for: str) -> None:
        """Wait for news of the machine or of what its holder wants, or for the moment to decide on what was seen."""
        try:
            timeout = None if until is None else until - workflow.now()
            await workflow.wait_condition(
                lambda: self._changed or self._heard, timeout=timeout, timeout_summary=what_for
            )
        except TimeoutError:
            return
        self._heard = False
        if self._changed:
            self._changed = False
            await self._look()
            self._raise_if_unwanted()

    @property
    def _is_ending(self) -> bool:
        return self._lease.state in (LeaseState.RELEASING, LeaseState.CLOSED)

    def _raise_if_unwanted(self) -> None:
        if not self._lease.wanted:
            raise final(Fault.NOT_WANTED, "released by its holder")

    def _settles_at(self, latest: datetime | None) -> datetime | None:
        """When what was last seen, if it stays so, has lasted long enough to be believed."""
        is_stopped = self._lease.state is LeaseState.STOPPED
        settles = believed_at(self._state.seen, self._input.patience, is_stopped=is_stopped)
        if settles is None or settles <= workflow.now():
            return latest
        return settles if latest is None else min(settles, latest)

    async def _tell_holder(self, what: str) -> None:
        news = LeaseNews(lease_id=self._lease_id, what=what)
        await workflow.execute_local_activity_method(
            LeaseActivities.tell_holder, news, summary=f"tell its holder: {what}", **RECORD
        )

    async def _look(self) -> None:
        self._lease = await workflow.execute_local_activity_method(
            LeaseActivities.look_at_lease, self._lease_id, summary="read its lease", **RECORD
        )

    def _say(self, message: str, state: LeaseState) -> None:
        show_phase(state.value, f"**{self._input.summary}**\n\n{message}")

    def _seen_words(self) -> str:
        seen = self._state.seen
        return f"{seen.state} ({seen.message})" if seen.message else seen.state.value
