"""What our own code holds for Temporal's client: as much of it as it uses."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest, ListWorkflowExecutionsResponse
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from tests.protocol.temporal import wire
from tests.protocol.temporal.server import ModelTemporal


def client_of(server: ModelTemporal) -> Client:
    return cast(Client, _ModelClient(server))


class _ModelClient:
    namespace = "default"

    def __init__(self, server: ModelTemporal) -> None:
        self._server = server
        self.workflow_service = self

    async def start_workflow(
        self,
        workflow: str,
        arg: Any = None,
        *,
        id: str,
        start_signal: str | None = None,
        start_delay: timedelta | None = None,
        **_: Any,
    ) -> None:
        given = [] if arg is None else wire.payloads([arg])
        run = self._server.start(workflow, id, given, 0.0 if start_delay is None else start_delay.total_seconds())
        if start_signal is not None:
            run.deliver(wire.signal(start_signal, []))

    def get_workflow_handle(self, workflow_id: str) -> "_Handle":
        return _Handle(self._server, workflow_id)

    async def list_workflow_executions(
        self, request: ListWorkflowExecutionsRequest, **_: Any
    ) -> ListWorkflowExecutionsResponse:
        asked = [run for run in self._server.running() if f"'{run.kind}'" in request.query]
        found = [WorkflowExecutionInfo(execution=WorkflowExecution(workflow_id=run.workflow_id)) for run in asked]
        return ListWorkflowExecutionsResponse(executions=found)

    def get_schedule_handle(self, _: str) -> "_ScheduleHandle":
        return _ScheduleHandle(self._server)


class _Handle:
    def __init__(self, server: ModelTemporal, workflow_id: str) -> None:
        self._server, self._id = server, workflow_id

    async def signal(self, name: str, *, args: tuple[Any, ...] = (), **_: Any) -> None:
        if not self._server.signal(self._id, name, args):
            raise RPCError("workflow execution already completed", RPCStatusCode.NOT_FOUND, b"")

    async def cancel(self, **_: Any) -> None:
        if (run := self._server.find(self._id)) is not None:
            run.cancel()


class _ScheduleHandle:
    """Of the reaper's schedule: its note alone."""

    def __init__(self, server: ModelTemporal) -> None:
        self._server = server

    async def describe(self) -> Any:
        return SimpleNamespace(schedule=SimpleNamespace(state=SimpleNamespace(note=self._server.note)))

    async def update(self, change: Callable[[Any], Any]) -> None:
        description = await self.describe()
        change(SimpleNamespace(description=description))
        self._server.note = description.schedule.state.note
