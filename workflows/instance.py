"""An instance for its whole life: the desired state is in its row, this works towards it."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.instances.instances import InstanceActivities, ReleaseRequest, StatusChange
    from domain.instances.decisions import decide
    from domain.instances.phases import InstanceStatus
    from domain.instances.steps import InstanceFacts, LeaseFacts, Step
    from domain.machines.phases import LeaseState
    from domain.workflow_contracts import InstanceInput, InstanceProgress

from workflows.attributes import show_phase
from workflows.failures import sentence_of
from workflows.options import CLOUD, RECORD
from workflows.pausing import Pausing
from workflows.resting import Resting
from workflows.waking import Waking
from workflows.wishes import Interrupted, Wishes

EVENTS_BEFORE_ROLLING_OVER = 2000


@workflow.defn
class InstanceWorkflow:
    """Give an instance the machine it should have, and none when it is not wanted."""

    @workflow.init
    def __init__(self, input: InstanceInput) -> None:
        self._id = input.instance_id
        self._progress = InstanceProgress()
        self._wishes = Wishes(input.instance_id)
        self._served_lease: str | None = None
        self._gave_up = ""
        self._pausing = Pausing(input, self._wishes, self._record)
        self._waking = Waking(input.instance_id, self._wishes, self._record, self._pausing)
        self._resting = Resting(input.instance_id, self._wishes)

    @workflow.query
    def progress(self) -> InstanceProgress:
        return self._progress

    @workflow.signal
    def changed(self) -> None:
        """One of the instance's rows changed: its owner's wish, or its lease."""
        self._wishes.changed = True

    @workflow.run
    async def run(self, input: InstanceInput) -> None:
        timeout: timedelta | None = None
        while True:
            await self._wishes.wait(timeout)
            facts = await self._look()
            step = decide(facts)
            if step is Step.NOTHING:
                return
            timeout = await self._take(step, facts)
            if workflow.info().get_current_history_length() > EVENTS_BEFORE_ROLLING_OVER:
                workflow.continue_as_new(input)

    async def _take(self, step: Step, facts: InstanceFacts) -> timedelta | None:
        """Do it. Returns when to look again although nobody says that anything changed; None: never."""
        if facts.keeps_files:
            return await self._take_of_sleeper(step, facts)
        await self._take_of_any(step, facts)
        return None

    async def _take_of_sleeper(self, step: Step, facts: InstanceFacts) -> timedelta | None:
        if step in (Step.STAY, Step.SLEEP):
            return await self._resting.rest(step, facts)
        if step in self._pausing.steps or step in self._waking.steps:
            await self._sleep_or_wake(step, facts)
            return None
        if step is Step.RESERVE:
            await self._waking.tell_of_another_machine(facts)
        await self._take_of_any(step, facts)
        if step is Step.WAIT_FOR_MACHINE:
            await self._waking.tell_of_the_boot(facts)
        return None

    async def _sleep_or_wake(self, step: Step, facts: InstanceFacts) -> None:
        try:
            if step in self._pausing.steps:
                await self._pausing.steps[step](facts)
            else:
                await self._waking.steps[step](facts, self._gave_up)
                self._gave_up = "" if step is Step.GIVE_UP_WAKE else self._gave_up
        except Interrupted:
            workflow.logger.info("instance %s: its owner wants otherwise by now", self._id)
        self._wishes.changed = True

    async def _take_of_any(self, step: Step, facts: InstanceFacts) -> None:
        lease = facts.lease
        if step is Step.RESERVE:
            await self._reserve(facts)
        elif step is Step.WAIT_FOR_MACHINE and lease is not None:
            await self._serve(lease)
        elif step is Step.RECORD_RUNNING and lease is not None:
            await self._record(InstanceStatus.RUNNING, f"running on {_words(lease)}")
        elif step is Step.RECORD_PAUSED and lease is not None:
            await self._record(InstanceStatus.PAUSED, f"{_words(lease)} is stopped; its job's files are on its disk")
        elif step is Step.REQUEST_RELEASE and lease is not None:
            await self._record(InstanceStatus.DESTROYING, "its machine is being released")
            parting = ReleaseRequest(lease_id=lease.id, instance_id=self._id)
            await workflow.execute_local_activity_method(InstanceActivities.request_release, parting, **RECORD)
        elif step is Step.CONCLUDE_DESTROYED:
            await self._record(InstanceStatus.DESTROYED, "destroyed; its machine is released")
        elif step is Step.CONCLUDE_FAILED:
            await self._record(InstanceStatus.FAILED, self._gave_up or _why(facts))

    async def _reserve(self, facts: InstanceFacts) -> None:
        """The next offer. When there is none, the reason of the last attempt says more than that."""
        try:
            await workflow.execute_activity_method(
                InstanceActivities.reserve_machine, self._id, summary="choose and reserve the best free offer", **CLOUD
            )
        except ActivityError as error:
            before = "" if facts.lease is None else f" Before that: {facts.lease.reason}."
            self._gave_up = f"{sentence_of(error)}{before}"
        self._wishes.changed = True

    async def _serve(self, lease: LeaseFacts) -> None:
        """See that the lease's MachineWorkflow runs (the api may have started it already), and say how far it is."""
        if self._served_lease != lease.id:
            await workflow.execute_local_activity_method(InstanceActivities.start_machine, lease.id, **RECORD)
            self._served_lease = lease.id
        self._progress.lease_id = lease.id
        status = InstanceStatus.STARTING if lease.state is LeaseState.RENTED else InstanceStatus.PROVISIONING
        self._say(status, f"{lease.state} {_words(lease)}")

    async def _record(self, status: InstanceStatus, message: str) -> None:
        self._say(status, message)
        news = StatusChange(instance_id=self._id, status=status, message=message)
        await workflow.execute_local_activity_method(InstanceActivities.record_instance, news, **RECORD)
        self._wishes.changed = True

    async def _look(self) -> InstanceFacts:
        facts = await self._wishes.look()
        facts.gave_up = bool(self._gave_up)
        self._progress.attempts = facts.attempts
        return facts

    def _say(self, status: InstanceStatus, message: str) -> None:
        self._progress.status, self._progress.message = status, message
        show_phase(status.value, f"**instance {self._id}**: {message}")


def _words(lease: LeaseFacts) -> str:
    return f"{lease.gpu_name} at {lease.dph_total:.3f} USD/h"


def _why(facts: InstanceFacts) -> str:
    reason = "no machine" if facts.lease is None else facts.lease.reason
    if facts.was_running:
        return f"The machine was lost: {reason}"
    return f"{facts.attempts} offer(s) were tried, none worked. The last one: {reason}"
