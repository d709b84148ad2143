"""The model server of an endpoint whose machine is up: started, waited for, opened, watched, and started again."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.endpoints.endpoints import EndpointActivities, ServerDown
    from activities.endpoints.model_server import ModelServerActivities
    from activities.errors import Fault
    from domain.endpoints.looks import ServerLook, ServerSeen
    from domain.endpoints.phases import DeploymentStage, DeploymentStatus, ServerTrouble
    from domain.endpoints.steps import EndpointStep, next_endpoint_step

from workflows.failures import fault_of, is_late, reason_of
from workflows.options import RECORD, SHELL, within

if TYPE_CHECKING:
    from workflows.endpoint import EndpointWorkflow

HUNG = "The model server runs, but did not say that it is well for a while."


class ServerSteps:
    """Each step does its one thing and leaves it to the rows to say what follows."""

    def __init__(self, endpoint: "EndpointWorkflow") -> None:
        self._endpoint = endpoint
        self._id = endpoint.input.endpoint_id
        self.steps: dict[EndpointStep, Callable[[], Awaitable[None]]] = {
            EndpointStep.START_SERVER: self._start,
            EndpointStep.AWAIT_MODEL: self._await_model,
            EndpointStep.WATCH: self._watch,
            EndpointStep.WAIT_TO_RESTART: self._wait_to_restart,
        }

    async def _start(self) -> None:
        facts = self._endpoint.facts
        again = f" again. {facts.trouble}" if facts.was_ready and facts.trouble else "."
        stage = DeploymentStage.STARTING_SERVER
        await self._endpoint.enter(stage, f"The machine is up; starting the model server{again}")
        started = await self._on_the_machine(
            ModelServerActivities.start_model_server, "start the model server, detached"
        )
        if started and not self._endpoint.is_changed:
            await self._await_model()

    async def _await_model(self) -> None:
        await self._endpoint.enter(DeploymentStage.LOADING_MODEL, "The model server is loading the model.")
        if await self._on_the_machine(ModelServerActivities.await_model, "wait until the model is loaded"):
            await self._publish()

    async def _publish(self) -> None:
        self._endpoint.begin(DeploymentStage.PUBLISHING, "The model answers; opening its endpoint.", is_brief=True)
        try:
            self._endpoint.known = await workflow.execute_local_activity_method(
                EndpointActivities.publish_endpoint, self._endpoint.news(), summary="open the endpoint", **RECORD
            )
        except ActivityError as error:
            if fault_of(error) is not Fault.NOT_WANTED or is_cancelled_exception(error):
                raise
            return
        self._endpoint.progress_now.status = DeploymentStatus.READY

    async def _watch(self) -> None:
        """One activity, tried again and again while the server is well: waiting writes no history."""
        endpoint = self._endpoint
        endpoint.begin(DeploymentStage.READY, endpoint.facts.message)
        endpoint.is_suspected = False
        watching = workflow.start_activity_method(
            ModelServerActivities.watch_model_server, self._id, summary="look at the model server now and then", **SHELL
        )
        while not watching.done() and not endpoint.is_suspected and self._is_to_be_watched():
            await workflow.wait_condition(lambda: watching.done() or endpoint.is_changed)
            if endpoint.is_changed:
                await endpoint.look()
        watching.cancel()
        (came,) = await asyncio.gather(watching, return_exceptions=True)
        if isinstance(came, ServerLook):
            await self._act_on(came)

    def _is_to_be_watched(self) -> bool:
        return next_endpoint_step(self._endpoint.facts) is EndpointStep.WATCH

    async def _act_on(self, look: ServerLook) -> None:
        if look.seen is ServerSeen.LOADING:
            await workflow.execute_local_activity_method(
                EndpointActivities.record_reloading, self._id, summary="it loads its model once more", **RECORD
            )
        elif look.seen is ServerSeen.ENDED:
            await self._record_down(ServerTrouble.ENDED, f"The model server ended: {look.text}")
        else:
            await self._record_down(ServerTrouble.SILENT, HUNG)

    async def _wait_to_restart(self) -> None:
        facts = self._endpoint.facts
        message = f"{facts.trouble} It is started again in {facts.restart_in:.0f} s."
        await self._endpoint.enter(DeploymentStage.STARTING_SERVER, message)
        await self._endpoint.await_news(timedelta(seconds=facts.restart_in), "a pause before it is started again")

    async def _on_the_machine(self, act: Callable[[Any, str], Awaitable[None]], summary: str) -> bool:
        """Whether it was done. What is wrong with the server is recorded; that it is wanted no more, the rows say."""
        options = within(SHELL, self._endpoint.input.model_deadline)
        try:
            await workflow.execute_activity_method(act, self._id, summary=summary, **options)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            if fault_of(error) not in (Fault.NOT_WANTED, Fault.MACHINE_LOST):
                await self._record_down(_trouble_of(error), _words(error))
            return False
        return True

    async def _record_down(self, trouble: ServerTrouble, why: str) -> None:
        down = ServerDown(endpoint_id=self._id, trouble=trouble, why=why)
        await workflow.execute_local_activity_method(
            EndpointActivities.record_down, down, summary="no requests go there now", **RECORD
        )


def _trouble_of(error: ActivityError) -> ServerTrouble:
    if is_late(error):
        return ServerTrouble.SLOW
    return ServerTrouble.ENDED if fault_of(error) is Fault.MODEL_FAILED else ServerTrouble.NOT_STARTED


def _words(error: ActivityError) -> str:
    said = reason_of(error)
    return f"The model server was not ready in time: {said}." if is_late(error) else said
