"""Deploy a model: a machine, a model server on it, an endpoint. Ready, or failed with everything released."""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.endpoints.model_server import DeployEnding, DeployFacts, DeployNews, ModelActivities
    from activities.errors import Fault
    from activities.instances.instances import InstanceActivities
    from domain.endpoints.phases import DeploymentStage, DeploymentStatus
    from domain.workflow_contracts import DeployInput, DeployProgress, instance_workflow_id

from workflows.attributes import show_phase
from workflows.failures import fault_of, sentence_of
from workflows.options import RECORD, SHELL, within

RELEASE_PATIENCE = timedelta(seconds=60)
"""How long a failed deploy waits for its machine to be gone before it says that it failed."""


@workflow.defn
class DeployWorkflow:
    """From an instance that is being made to a model that answers at its endpoint."""

    @workflow.init
    def __init__(self, input: DeployInput) -> None:
        self._input = input
        self._progress = DeployProgress()
        self._changed = False
        self._facts: DeployFacts
        self._stage_began = workflow.now()

    @workflow.query
    def progress(self) -> DeployProgress:
        return self._progress

    @workflow.signal
    def changed(self, because: str = "") -> None:
        """The deployment's or its instance's row changed."""
        self._changed = True

    @workflow.run
    async def run(self, input: DeployInput) -> DeployProgress:
        await self._look()
        if self._facts.status is not DeploymentStatus.DEPLOYING:
            return self._progress
        try:
            await self._await_machine()
            await self._start_server()
            await self._await_model()
            await self._publish()
        except (FailureError, asyncio.CancelledError) as error:
            await self._end(error)
        return self._progress

    async def _await_machine(self) -> None:
        instance = f"`{instance_workflow_id(self._input.instance_id)}`"
        workflow.set_current_details(f"**{self._facts.summary}**: waiting for its machine; {instance} gets it one.")
        while self._facts.lease_id is None:
            if not self._facts.wanted:
                raise ApplicationError("stopped by its owner", type=Fault.NOT_WANTED.value)
            if self._facts.instance_status.is_over:
                raise ApplicationError(self._facts.instance_message, type=Fault.MACHINE_LOST.value)
            await workflow.wait_condition(lambda: self._changed)
            self._changed = False
            await self._look()

    async def _start_server(self) -> None:
        await self._enter(DeploymentStage.STARTING_SERVER, "The machine is up; starting the model server.")
        await workflow.execute_activity_method(
            ModelActivities.start_model_server,
            self._input.deployment_id,
            summary="start the model server, detached",
            **within(SHELL, self._input.model_deadline),
        )

    async def _await_model(self) -> None:
        await self._enter(DeploymentStage.LOADING_MODEL, "The model server is loading the model.")
        await workflow.execute_activity_method(
            ModelActivities.await_model,
            self._input.deployment_id,
            summary="wait until the model is loaded",
            **within(SHELL, self._input.model_deadline),
        )

    async def _publish(self) -> None:
        self._begin(DeploymentStage.PUBLISHING, "The model answers; opening its endpoint.")
        await workflow.execute_local_activity_method(ModelActivities.publish_model, self._news(), **RECORD)
        self._begin(DeploymentStage.READY, "The model answers.")
        self._progress.status = DeploymentStatus.READY

    async def _end(self, error: BaseException) -> None:
        """Release first, then say so: who reads `failed` may count on nothing being rented any more."""
        stopped = fault_of(error) is Fault.NOT_WANTED
        status = DeploymentStatus.STOPPED if stopped else DeploymentStatus.FAILED
        self._time_stage()
        self._progress.message = sentence_of(error)
        show_phase("releasing", f"**{self._facts.summary}**: {self._progress.message}")
        await workflow.execute_local_activity_method(
            InstanceActivities.request_destroy, self._input.instance_id, **RECORD
        )
        await self._await_released(workflow.now() + RELEASE_PATIENCE)
        ending = DeployEnding(
            deployment_id=self._input.deployment_id,
            status=status,
            message=self._progress.message,
            phase_timings_ms=self._progress.phase_timings_ms,
        )
        await workflow.execute_local_activity_method(ModelActivities.record_deploy_ending, ending, **RECORD)
        self._progress.status = status
        show_phase(status.value, f"**{self._facts.summary}**: {self._progress.message}")

    async def _await_released(self, until: datetime) -> None:
        while not self._facts.instance_status.is_over and workflow.now() < until:
            try:
                await workflow.wait_condition(
                    lambda: self._changed,
                    timeout=until - workflow.now(),
                    timeout_summary="how long the machine may take to be gone",
                )
            except TimeoutError:
                return
            self._changed = False
            await self._look()

    async def _enter(self, stage: DeploymentStage, message: str) -> None:
        self._begin(stage, message)
        await workflow.execute_local_activity_method(ModelActivities.record_stage, self._news(), **RECORD)

    def _news(self) -> DeployNews:
        return DeployNews(
            deployment_id=self._input.deployment_id,
            stage=self._progress.stage,
            message=self._progress.message,
            phase_timings_ms=self._progress.phase_timings_ms,
        )

    def _begin(self, stage: DeploymentStage, message: str) -> None:
        self._time_stage()
        self._progress.stage, self._progress.message = stage, message
        show_phase(stage.value, f"**{self._facts.summary}**: {message}")

    def _time_stage(self) -> None:
        """Close the time of the present stage; stages that were re-entered add up."""
        took = round((workflow.now() - self._stage_began).total_seconds() * 1000)
        timings = self._progress.phase_timings_ms
        timings[self._progress.stage.value] = timings.get(self._progress.stage.value, 0) + took
        self._stage_began = workflow.now()

    async def _look(self) -> None:
        self._facts = await workflow.execute_local_activity_method(
            ModelActivities.look_at_deploy, self._input.deployment_id, **RECORD
        )
