"""An instance for its whole life: what is wanted of it is in its row, this works towards it."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.instances.idleness import IdlenessActivities, IdleWatch
    from activities.instances.instances import InstanceActivities
    from activities.instances.power import IdlePause, InstancePowerActivities
    from activities.machines.agents import AgentActivities
    from domain.instances.decisions import decide
    from domain.instances.idleness import IdleDecision
    from domain.instances.phases import Desired, InstanceStatus
    from domain.instances.steps import InstanceFacts, Step
    from domain.workflow_contracts import InstanceInput

from workflows.failures import reason_of
from workflows.instance_steps import InstanceSteps
from workflows.interruptible import Interrupted, Rows, through_cancels
from workflows.options import RECORD, SHELL, WATCH, within

EVENTS_BEFORE_ROLLING_OVER = 2000
REPAIRING = timedelta(minutes=2)


@workflow.defn
class InstanceWorkflow:
    """Give an instance the machine that it should have, and none when it is not wanted."""

    @workflow.init
    def __init__(self, input: InstanceInput) -> None:
        self._id = input.instance_id
        self._state = input.state
        self._rows = Rows(self._read)
        self._steps = InstanceSteps(input, self._rows)

    @workflow.signal
    def changed(self, because: str = "") -> None:
        """One of the instance's rows changed: what its owner wants of it, or its lease."""
        self._rows.changed = True

    @workflow.run
    async def run(self, input: InstanceInput) -> None:
        await through_cancels(self._live(input), self.changed)

    async def _live(self, input: InstanceInput) -> None:
        facts = await self._rows.look()
        while (step := self._decide(facts)) is not Step.NOTHING:
            try:
                facts = await self._rows.after(await self._take(step, facts))
            except Interrupted:
                workflow.logger.info("instance %s: its rows say otherwise by now", self._id)
                facts = await self._rows.look()
            if workflow.info().get_current_history_length() > EVENTS_BEFORE_ROLLING_OVER:
                workflow.continue_as_new(input.model_copy(update={"state": self._state}))

    def _decide(self, facts: InstanceFacts) -> Step:
        if facts.desired is not Desired.RUNNING and facts.data_lease_id is not None:
            self._state.gave_up = (
                ""  # nobody wants the machine any more that could not be found: a later wake begins anew
            )
        facts.gave_up = bool(self._state.gave_up)
        return decide(facts)

    async def _take(self, step: Step, facts: InstanceFacts) -> InstanceFacts | None:
        """What is known to hold after it; None: its rows have to be read."""
        if step is Step.STAY:
            await self._stay(facts)
        elif step is Step.SLEEP:
            await self._sleep(facts)
        elif step is Step.WAIT_FOR_RELEASE:
            await self._rows.wait()
        else:
            return await self._steps.take(step, facts)
        return None

    async def _stay(self, facts: InstanceFacts) -> None:
        if facts.status is InstanceStatus.RUNNING and facts.lifecycle.sleeps_when_idle:
            return await self._watch_idleness(facts)
        await self._rows.wait()

    async def _watch_idleness(self, facts: InstanceFacts) -> None:
        """One activity looks again and again by itself, and ends when there is something to do about it."""
        watching = workflow.start_activity_method(
            IdlenessActivities.await_idleness,
            IdleWatch(instance_id=self._id, warned_since=self._state.warned_since),
            summary="watch whether anybody uses it",
            **WATCH,
        )
        decision = await self._rows.unless_changed(watching)
        if decision is None:
            return
        if decision.pause:
            pause = IdlePause(instance_id=self._id, why=decision.why)
            return await workflow.execute_local_activity_method(
                InstancePowerActivities.pause_idle, pause, summary="have it paused: it is idle", **RECORD
            )
        await self._help(decision, facts)

    async def _help(self, decision: IdleDecision, facts: InstanceFacts) -> None:
        """Tell whoever is on the machine that it pauses soon; mend an agent that fell silent. Best effort."""
        try:
            if decision.warn:
                self._state.warned_since = decision.idle_since
                await workflow.execute_activity_method(
                    AgentActivities.warn_users,
                    self._id,
                    summary="say at its terminals that it pauses soon",
                    **within(SHELL, REPAIRING),
                )
            if decision.repair and facts.lease is not None:
                await workflow.execute_activity_method(
                    AgentActivities.install_agent,
                    facts.lease.id,
                    summary="mend its silent agent",
                    **within(SHELL, REPAIRING),
                )
                await self._rows.wait(timedelta(seconds=decision.look_again or 0), "its agent is tried again then")
        except ActivityError as error:
            workflow.logger.info("instance %s: %s", self._id, reason_of(error))

    async def _sleep(self, facts: InstanceFacts) -> None:
        """One timer for what is hibernated later, and none for what sleeps for good."""
        if facts.desired is not Desired.PAUSED or not facts.lifecycle.hibernates:
            return await self._rows.wait()
        left = await workflow.execute_local_activity_method(
            InstancePowerActivities.hibernate_when_due, self._id, summary="is it time to hibernate", **RECORD
        )
        if left is None:
            return await self._rows.wait()
        await self._rows.wait(timedelta(seconds=left), "paused for so long, it is hibernated")

    async def _read(self) -> InstanceFacts:
        return await workflow.execute_local_activity_method(
            InstanceActivities.look_at_instance, self._id, summary="read its rows", **RECORD
        )
