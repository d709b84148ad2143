"""An instance for its whole life: the desired state is in its row, this works towards it."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.instances import InstanceActivities, InstanceNews, Parting
    from domain.flows import InstanceInput, InstanceProgress
    from domain.phases import InstanceStatus, LeaseState
    from domain.steps import InstanceSituation, LeaseFacts, Step, next_step

from workflows.attributes import show_phase
from workflows.failures import sentence_of
from workflows.options import CLOUD, RECORD

EVENTS_BEFORE_ROLLING_OVER = 2000


@workflow.defn
class InstanceWorkflow:
    """Give an instance the machine it should have, and none when it is not wanted."""

    @workflow.init
    def __init__(self, input: InstanceInput) -> None:
        self._id = input.instance_id
        self._progress = InstanceProgress()
        self._changed = True
        self._served_lease: str | None = None
        self._gave_up = ""

    @workflow.query
    def progress(self) -> InstanceProgress:
        return self._progress

    @workflow.signal
    def changed(self) -> None:
        """One of the instance's rows changed: its owner's wish, or its lease."""
        self._changed = True

    @workflow.run
    async def run(self, input: InstanceInput) -> None:
        while True:
            await workflow.wait_condition(lambda: self._changed)
            self._changed = False
            situation = await self._look()
            step = next_step(situation)
            if step is Step.NOTHING:
                return
            await self._take(step, situation)
            if workflow.info().get_current_history_length() > EVENTS_BEFORE_ROLLING_OVER:
                workflow.continue_as_new(input)

    async def _take(self, step: Step, situation: InstanceSituation) -> None:
        lease = situation.lease
        if step is Step.RESERVE:
            await self._reserve(situation)
        elif step is Step.WAIT_FOR_MACHINE and lease is not None:
            await self._serve(lease)
        elif step is Step.RECORD_RUNNING and lease is not None:
            await self._record(InstanceStatus.RUNNING, f"running on {_words(lease)}")
        elif step is Step.LET_GO and lease is not None:
            await self._record(InstanceStatus.DESTROYING, "its machine is being released")
            parting = Parting(lease_id=lease.id, instance_id=self._id)
            await workflow.execute_local_activity_method(InstanceActivities.let_go, parting, **RECORD)
        elif step is Step.CONCLUDE_DESTROYED:
            await self._record(InstanceStatus.DESTROYED, "destroyed; its machine is released")
        elif step is Step.CONCLUDE_FAILED:
            await self._record(InstanceStatus.FAILED, self._gave_up or _why(situation))

    async def _reserve(self, situation: InstanceSituation) -> None:
        """The next offer. When there is none, the reason of the last attempt says more than that."""
        try:
            await workflow.execute_activity_method(
                InstanceActivities.reserve_machine, self._id, summary="choose and reserve the best free offer", **CLOUD
            )
        except ActivityError as error:
            before = "" if situation.lease is None else f" Before that: {situation.lease.reason}."
            self._gave_up = f"{sentence_of(error)}{before}"
        self._changed = True

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
        news = InstanceNews(instance_id=self._id, status=status, message=message)
        await workflow.execute_local_activity_method(InstanceActivities.record_instance, news, **RECORD)
        self._changed = True

    async def _look(self) -> InstanceSituation:
        situation = await workflow.execute_local_activity_method(
            InstanceActivities.look_at_instance, self._id, **RECORD
        )
        situation.gave_up = bool(self._gave_up)
        self._progress.attempts = situation.attempts
        return situation

    def _say(self, status: InstanceStatus, message: str) -> None:
        self._progress.status, self._progress.message = status, message
        show_phase(status.value, f"**instance {self._id}**: {message}")


def _words(lease: LeaseFacts) -> str:
    return f"{lease.gpu_name} at {lease.dph_total:.3f} USD/h"


def _why(situation: InstanceSituation) -> str:
    reason = "no machine" if situation.lease is None else situation.lease.reason
    if situation.was_running:
        return f"The machine was lost: {reason}"
    return f"{situation.attempts} offer(s) were tried, none worked. The last one: {reason}"
