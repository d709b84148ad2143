"""An endpoint for as long as it exists: a machine, a model server that is kept serving on it, and its release."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.endpoints.endpoints import EndpointActivities, EndpointEnding, EndpointNews
    from activities.instances.instances import InstanceActivities
    from domain.endpoints.phases import DeploymentStage
    from domain.endpoints.steps import (
        EndpointFacts,
        EndpointStep,
        ends_as_stopped,
        next_endpoint_step,
        reason_to_give_up,
    )
    from domain.workflow_contracts import EndpointInput, EndpointProgress, instance_workflow_id

from workflows.attributes import show_phase
from workflows.interruptible import through_cancels
from workflows.options import RECORD
from workflows.serving import ServerSteps

EVENTS_BEFORE_ROLLING_OVER = 2000
UNTOLD = timedelta(minutes=1)
"""After so long without a word the rows are read anyway: a word may be lost."""
RELEASE_PATIENCE = timedelta(seconds=60)
"""How long an endpoint that ends waits for its machine to be gone before it says that it has ended."""


@workflow.defn
class EndpointWorkflow:
    """Read the endpoint's rows, do the one thing that comes next, and begin again, until it is closed.

    What its owner wants is in the rows: a run that is terminated ends nothing, and another one is started.
    """

    @workflow.init
    def __init__(self, input: EndpointInput) -> None:
        self.input = input
        self.progress_now = input.progress
        self.facts: EndpointFacts
        self.known: EndpointFacts | None = None
        """What the last step read at its end."""
        self.is_changed = self.is_suspected = False

    @workflow.query
    def progress(self) -> EndpointProgress:
        return self.progress_now

    @workflow.signal
    def changed(self, because: str = "") -> None:
        """One of the endpoint's rows changed: what its owner wants, its instance, its machine."""
        self.is_changed = True

    @workflow.signal
    def suspected(self, because: str = "") -> None:
        """A request did not get through to its model server: look at it now."""
        self.is_changed = self.is_suspected = True

    @workflow.run
    async def run(self, input: EndpointInput) -> EndpointProgress:
        return await through_cancels(self._live(input), self.changed)

    async def _live(self, input: EndpointInput) -> EndpointProgress:
        steps = {
            EndpointStep.AWAIT_MACHINE: self._await_machine,
            EndpointStep.LEAVE_MACHINE: self._leave_machine,
            **ServerSteps(self).steps,
            EndpointStep.GIVE_UP: self._give_up,
            EndpointStep.RELEASE: self._release,
            EndpointStep.CLOSE: self._close,
        }
        while (step := await self._next()) is not EndpointStep.NOTHING:
            await steps[step]()
            if workflow.info().get_current_history_length() > EVENTS_BEFORE_ROLLING_OVER:
                workflow.continue_as_new(input.model_copy(update={"progress": self.progress_now}))
        return self.progress_now

    async def _next(self) -> EndpointStep:
        known, self.known = self.known, None
        if known is None or self.is_changed:
            await self.look()
        else:
            self.facts = known
        return next_endpoint_step(self.facts)

    async def _await_machine(self) -> None:
        instance = f"`{instance_workflow_id(self.facts.instance_id)}`"
        said = self.facts.message or f"Waiting for its machine; {instance} gets it one."
        self.begin(DeploymentStage.PROVISIONING, said)
        await self.await_news(UNTOLD, "its machine, or a look at the rows")

    async def _leave_machine(self) -> None:
        await workflow.execute_local_activity_method(
            EndpointActivities.leave_machine, self.input.endpoint_id, summary="its machine is gone", **RECORD
        )

    async def _give_up(self) -> None:
        reason, stopped = reason_to_give_up(self.facts), ends_as_stopped(self.facts)
        ending = EndpointEnding(endpoint_id=self.input.endpoint_id, reason=reason, stopped=stopped)
        await workflow.execute_local_activity_method(
            EndpointActivities.give_up_endpoint, ending, summary="close its address", **RECORD
        )

    async def _release(self) -> None:
        """Release first, then say so: who reads `failed` may count on nothing being rented any more."""
        self._time_stage()
        self.progress_now.message = self.facts.message
        self._show("releasing", f"{self.facts.message} Its machine is being released.")
        await workflow.execute_local_activity_method(
            InstanceActivities.request_destroy, self.facts.instance_id, summary="release its machine", **RECORD
        )
        until = workflow.now() + RELEASE_PATIENCE
        while next_endpoint_step(self.facts) is EndpointStep.RELEASE and workflow.now() < until:
            await self.await_news(until - workflow.now(), "how long the machine may take to be gone")
            await self.look()
        await self._close()

    async def _close(self) -> None:
        status = await workflow.execute_local_activity_method(
            EndpointActivities.conclude_endpoint, self.input.endpoint_id, summary="it is over", **RECORD
        )
        self.progress_now.status, self.progress_now.message = status, self.facts.message
        self._show(status.value, self.facts.message)

    async def await_news(self, longest: timedelta, summary: str) -> None:
        try:
            await workflow.wait_condition(lambda: self.is_changed, timeout=longest, timeout_summary=summary)
        except TimeoutError:
            return

    async def enter(self, stage: DeploymentStage, message: str) -> None:
        """Begin a stage, and write it down for lists and for when no worker answers."""
        self.begin(stage, message)
        await workflow.execute_local_activity_method(
            EndpointActivities.record_stage, self.news(), summary=f"write down: {stage.value}", **RECORD
        )

    def begin(self, stage: DeploymentStage, message: str, *, is_brief: bool = False) -> None:
        """`is_brief`: over before anybody could filter by it."""
        self._time_stage()
        self.progress_now.stage, self.progress_now.message = stage, message
        if not is_brief:
            self._show(stage.value, message)

    def news(self) -> EndpointNews:
        now = self.progress_now
        return EndpointNews(
            endpoint_id=self.input.endpoint_id,
            stage=now.stage,
            message=now.message,
            phase_timings_ms=now.phase_timings_ms,
        )

    def _time_stage(self) -> None:
        """Close the time of the present stage, on the way to the first `ready`; stages that were re-entered add up."""
        progress, now = self.progress_now, workflow.now()
        if not self.facts.was_ready and progress.stage is not DeploymentStage.READY:
            took = round((now - (progress.stage_began or now)).total_seconds() * 1000)
            timings = progress.phase_timings_ms
            timings[progress.stage.value] = timings.get(progress.stage.value, 0) + took
        progress.stage_began = now

    def _show(self, phase: str, message: str) -> None:
        show_phase(phase, f"**{self.facts.summary}**: {message}")

    async def look(self) -> None:
        self.is_changed = False
        self.facts = await workflow.execute_local_activity_method(
            EndpointActivities.look_at_endpoint, self.input.endpoint_id, summary="read its rows", **RECORD
        )
        if self.progress_now.stage_began is None:  # the first look of all: go on where the rows are
            self.progress_now = EndpointProgress(
                status=self.facts.status,
                stage=self.facts.stage,
                message=self.facts.message,
                phase_timings_ms=self.facts.phase_timings_ms,
                stage_began=workflow.info().start_time,
            )
