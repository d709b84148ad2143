"""One run of one workflow: what it has heard, what it waits for, and the SDK's instance that does its thinking."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.bridge.proto.activity_result import ActivityResolution
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.common import MetricMeter, Priority, TypedSearchAttributes
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails
from temporalio.workflow import Info, _Definition

from domain.workflow_contracts import TASK_QUEUE
from tests.protocol.temporal import wire
from tests.protocol.temporal.activities import Ordinary
from tests.protocol.temporal.tasks import TIMEOUT, Task
from tests.protocol.temporal.wire import Job

if TYPE_CHECKING:
    from tests.protocol.temporal.server import ModelTemporal

ENDS = (
    "complete_workflow_execution",
    "fail_workflow_execution",
    "cancel_workflow_execution",
    "continue_as_new_workflow_execution",
)


class WorkflowFailed(Exception):
    """A workflow ended in failure: nothing of ours is meant to."""


class Run:
    def __init__(
        self, server: "ModelTemporal", kind: str, workflow_id: str, run_id: str, given: Sequence[Payload]
    ) -> None:
        self.server, self.kind, self.workflow_id, self.id = server, kind, workflow_id, run_id
        self._definition = _Definition.must_from_class(server.workflows[kind])
        self._seed = sum(map(ord, run_id))
        self._inbox: list[Job] = [wire.initialize(kind, workflow_id, run_id, given, self._seed)]
        self._not_before = server.agenda.clock.at
        self._history: list[tuple[WorkflowActivation, list[WorkflowCommand]]] = []
        self._answers: list[list[WorkflowCommand]] = []
        self._events = 0
        self._instance: WorkflowInstance | None = None
        self._activities: dict[int, Ordinary] = {}
        self._timers: set[int] = set()
        self._is_task_due = False
        self.task: Task | None = None
        self.is_over = False
        self.result: Any = None
        self.is_cancelled = False

    def begin(self, delay: float) -> None:
        self._not_before = self.server.agenda.clock.after(delay)
        self._see_to_a_task()

    def deliver(self, job: Job) -> None:
        if not self.is_over:
            self._inbox.append(job)
            self._see_to_a_task()

    def cancel(self) -> None:
        """Somebody clicks Cancel."""
        self.is_cancelled = True
        self.deliver(wire.cancel_workflow("a person"))

    def _see_to_a_task(self) -> None:
        if self.task is None and not self._is_task_due:
            self._is_task_due = True
            self.server.agenda.at(self._not_before, self._begin_task)

    async def _begin_task(self) -> None:
        self._is_task_due = False
        if self.is_over or self.task is not None or not self._inbox:
            return
        jobs, self._inbox = self._inbox, []
        self._answers = []
        self.task = Task(self, jobs)
        await self.task.begin()

    def activation(self, jobs: Sequence[Job]) -> WorkflowActivation:
        self._events += len(jobs)
        return wire.activation(
            self.id, self.server.agenda.clock.at, jobs, length=self._events * self.server.event_weight
        )

    async def answer(self, given: WorkflowActivation) -> list[WorkflowCommand] | None:
        """What the workflow says to it. None: it stumbled, which is a fault of its code."""
        if self._instance is None:
            self._instance = await self._replayed()
        done = await self._activate(self._instance, given)
        if done is not None:
            self._answers.append(done)
        return done

    async def _activate(self, instance: WorkflowInstance, given: WorkflowActivation) -> list[WorkflowCommand] | None:
        done = await asyncio.get_running_loop().run_in_executor(self.server.thread, instance.activate, given)
        if done.HasField("failed"):
            self.server.unforeseen.append(WorkflowFailed(f"{self.workflow_id}: {done.failed.failure.message}"))
            return None
        return list(done.successful.commands)

    async def _replayed(self) -> WorkflowInstance:
        """A worker that has never seen it makes it do again what it has done, and it has to say the same again."""
        instance = UnsandboxedWorkflowRunner().create_instance(self._details())
        for given, said in self._history:
            given.is_replaying = True
            again = await self._activate(instance, given)
            if again is not None and [each.WhichOneof("variant") for each in again] != [
                each.WhichOneof("variant") for each in said
            ]:
                self.server.unforeseen.append(WorkflowFailed(f"{self.workflow_id}: a replay says something else"))
        return instance

    def _details(self) -> WorkflowInstanceDetails:
        began = (
            self.server.agenda.clock.at if not self._history else self._history[0][0].timestamp.ToDatetime(tzinfo=UTC)
        )
        info = Info(
            attempt=1,
            continued_run_id=None,
            cron_schedule=None,
            execution_timeout=None,
            first_execution_run_id=self.id,
            headers={},
            namespace="default",
            original_execution_run_id=self.id,
            parent=None,
            root=None,
            raw_memo={},
            retry_policy=None,
            run_id=self.id,
            run_timeout=None,
            search_attributes={},
            start_time=began,
            workflow_start_time=began,
            task_queue=TASK_QUEUE,
            task_timeout=timedelta(seconds=TIMEOUT),
            typed_search_attributes=TypedSearchAttributes([]),
            workflow_id=self.workflow_id,
            workflow_type=self.kind,
            priority=Priority.default,
        )
        externs: dict[str, Any] = {
            "__temporal_get_metric_meter": lambda: MetricMeter.noop,
            "__temporal_assert_local_activity_valid": lambda name: None,
        }
        return WorkflowInstanceDetails(
            payload_converter_factory=pydantic_data_converter.payload_converter_class,
            failure_converter_class=pydantic_data_converter.failure_converter_class,
            interceptor_classes=[],
            defn=self._definition,
            info=info,
            randomness_seed=self._seed,
            extern_functions=externs,
            disable_eager_activity_execution=True,
            worker_level_failure_exception_types=[],
            patch_activation_callback=None,
            last_completion_result=Payloads(),
            last_failure=None,
        )

    async def forget(self) -> None:
        """Its worker is gone: whoever takes it over makes it anew."""
        instance, self._instance = self._instance, None
        if instance is not None:
            given = wire.activation(self.id, self.server.agenda.clock.at, [wire.remove_from_cache()], length=1)
            await asyncio.get_running_loop().run_in_executor(self.server.thread, instance.activate, given)

    async def again(self, task: Task) -> None:
        """The task was not heard of again, or its end came too late: all of it is done anew."""
        if self.task is not task:
            return
        self.task = None
        await self.forget()
        self._inbox = [*task.jobs, *self._inbox]
        self._see_to_a_task()

    async def done(self, task: Task) -> None:
        """The worker says what is to be done. That all is over does not count while there is news."""
        is_end = any(each.WhichOneof("variant") in ENDS for each in task.commands)
        if is_end and self._inbox:
            return await self.again(task)
        self.task = None
        self._history += zip(task.activations, self._answers, strict=True)
        for command in task.commands:
            await self._carry_out(command)
        if self._inbox:
            self._see_to_a_task()

    async def _carry_out(self, command: WorkflowCommand) -> None:
        self._events += 1
        kind = command.WhichOneof("variant")
        if kind == "start_timer":
            seq = command.start_timer.seq
            self._timers.add(seq)
            self.server.agenda.after(wire.seconds(command.start_timer.start_to_fire_timeout), lambda: self._fire(seq))
        elif kind == "cancel_timer":
            self._timers.discard(command.cancel_timer.seq)
        elif kind == "schedule_activity":
            asked = command.schedule_activity
            self._activities[asked.seq] = Ordinary(self, asked)
        elif kind in ENDS:
            await self._end(command)

    async def _fire(self, seq: int) -> None:
        if seq in self._timers:
            self._timers.remove(seq)
            self.deliver(wire.fire_timer(seq))

    def cancel_activity(self, seq: int) -> ActivityResolution:
        return self._activities[seq].cancel()

    async def _end(self, command: WorkflowCommand) -> None:
        await self.close()
        if command.HasField("complete_workflow_execution"):
            self.result = wire.values([command.complete_workflow_execution.result], None)[0]
        if command.HasField("continue_as_new_workflow_execution"):
            following = command.continue_as_new_workflow_execution
            self.server.start(self.kind, self.workflow_id, following.arguments)
        elif command.HasField("fail_workflow_execution") and not self.is_cancelled:
            failure = command.fail_workflow_execution.failure
            self.server.unforeseen.append(WorkflowFailed(f"{self.workflow_id} failed: {failure.message}"))

    async def close(self) -> None:
        """It is over, by itself or by a Terminate click. Its activities' attempts hear of that later, or never."""
        self.is_over, self.task = True, None
        for each in self._activities.values():
            if not each.is_over:
                each.is_over = True
                each.drop()
        await self.forget()
