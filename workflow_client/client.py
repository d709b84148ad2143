"""Starts workflows, and signals them that their rows changed. Calls may be repeated, also by two processes at once."""

from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle, WorkflowQueryFailedError
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.service import RPCError, RPCStatusCode

from domain import workflow_contracts
from domain.endpoints.phases import DeploymentStage
from domain.holders import Holder
from domain.instances.phases import InstanceStatus
from domain.machines.machines import MachineSeen
from domain.machines.phases import LeaseState
from domain.workflow_contracts import (
    EndpointInput,
    EndpointProgress,
    InstanceInput,
    JobInput,
    MachineInput,
    SnapshotInput,
    TidyInput,
    WatchInput,
)
from failpoints import Failpoint, hit
from settings import Settings
from workflow_client.kinds import Kind

KIND = SearchAttributeKey.for_keyword("DumontKind")
PHASE = SearchAttributeKey.for_keyword("DumontPhase")
INSTANCE_ID = SearchAttributeKey.for_int("DumontInstanceId")

RPC_DEADLINE = timedelta(seconds=10)
AFTER_THE_MACHINE = timedelta(milliseconds=150)
"""Flows that wait for a machine start a little after it, so that the rent request goes out first."""
QUERY_DEADLINE = timedelta(seconds=1)


class WorkflowClient:
    """Our workflows by their ids. It imports no workflow code, so that activities may use it too."""

    def __init__(self, temporal: Client, settings: Settings) -> None:
        self._temporal = temporal
        self._settings = settings

    async def start_machine(self, lease_id: str, summary: str, holder: Holder) -> None:
        """Serve an open lease."""
        settings = self._settings
        machine = MachineInput(
            lease_id=lease_id,
            summary=summary,
            boot_deadline=timedelta(seconds=settings.boot_deadline_seconds),
            patience=timedelta(seconds=3 * settings.settle_seconds),
            stall=timedelta(seconds=settings.wake_stall_seconds),
        )
        await self._start(
            workflow_contracts.MACHINE_WORKFLOW,
            machine,
            workflow_contracts.machine_workflow_id(lease_id),
            "machine",
            summary,
            holder.instance_id,
            LeaseState.ASKED,
        )
        await hit(Failpoint.MACHINE_STARTED)

    async def start_instance(self, instance_id: int, machine: str = "", served_lease: str | None = None) -> None:
        """Serve an instance that is not over.

        `machine`: its first, in words. `served_lease`: the one whose MachineWorkflow runs already.
        """
        summary = f"Instance {instance_id}, first on {machine}" if machine else f"Instance {instance_id}"
        workflow_id = workflow_contracts.instance_workflow_id(instance_id)
        instance = self._instance(instance_id)
        instance.state.served_lease = served_lease
        phase = InstanceStatus.PROVISIONING
        await self._start(
            workflow_contracts.INSTANCE_WORKFLOW, instance, workflow_id, "instance", summary, instance_id, phase
        )

    def _instance(self, instance_id: int) -> InstanceInput:
        budget = timedelta(seconds=self._settings.snapshot_budget_seconds)
        return InstanceInput(instance_id=instance_id, snapshot_budget=budget)

    async def tell_instance(self, instance_id: int) -> None:
        """Have an instance's workflow read its rows again; one that does not run is started."""
        await self._temporal.start_workflow(
            workflow_contracts.INSTANCE_WORKFLOW,
            self._instance(instance_id),
            id=workflow_contracts.instance_workflow_id(instance_id),
            task_queue=workflow_contracts.TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal=workflow_contracts.SIGNAL_CHANGED,
            search_attributes=search_attributes("instance", instance_id, InstanceStatus.PROVISIONING),
            rpc_timeout=RPC_DEADLINE,
        )

    async def start_endpoint(self, endpoint_id: str, instance_id: int | None = None, summary: str = "") -> None:
        """Serve an endpoint that is not closed: its model server is started, watched, and started again."""
        deadline = timedelta(seconds=self._settings.model_deadline_seconds)
        endpoint = EndpointInput(endpoint_id=endpoint_id, model_deadline=deadline)
        workflow_id = workflow_contracts.endpoint_workflow_id(endpoint_id)
        phase = DeploymentStage.PROVISIONING
        await self._start(
            workflow_contracts.ENDPOINT_WORKFLOW, endpoint, workflow_id, "endpoint", summary, instance_id, phase
        )

    async def start_job(self, job_id: str, summary: str = "") -> None:
        """Serve a job that is not over; one that is served already is told to look at its rows."""
        settings = self._settings
        job = JobInput(
            job_id=job_id,
            queue_pause=timedelta(seconds=settings.queue_seconds),
        )
        await self._temporal.start_workflow(
            workflow_contracts.JOB_WORKFLOW,
            job,
            id=workflow_contracts.job_workflow_id(job_id),
            task_queue=workflow_contracts.TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal=workflow_contracts.SIGNAL_CHANGED,
            search_attributes=search_attributes("job", None, "queued"),
            static_summary=summary[:200] or None,
            rpc_timeout=RPC_DEADLINE,
        )

    async def start_snapshot(self, snapshot_id: str, instance_id: int) -> None:
        """Take a snapshot whose row is there."""
        snapshot = SnapshotInput(snapshot_id=snapshot_id, instance_id=instance_id)
        workflow_id = workflow_contracts.snapshot_workflow_id(snapshot_id)
        summary = f"Snapshot {snapshot_id} of instance {instance_id}"
        await self._start(workflow_contracts.SNAPSHOT_WORKFLOW, snapshot, workflow_id, "snapshot", summary, instance_id)

    async def cancel_snapshot(self, snapshot_id: str) -> None:
        """End a snapshot whose row says already that it was deleted."""
        handle: WorkflowHandle[Any, Any] = self._temporal.get_workflow_handle(
            workflow_contracts.snapshot_workflow_id(snapshot_id)
        )
        try:
            await handle.cancel(rpc_timeout=RPC_DEADLINE)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def tidy_vault(self, instance_id: int) -> None:
        """Have the vault forget what is deleted or too old of an instance."""
        workflow_id = workflow_contracts.tidy_workflow_id(instance_id)
        summary = f"Tidy the vault of instance {instance_id}"
        await self._start(
            workflow_contracts.TIDY_WORKFLOW,
            TidyInput(instance_id=instance_id),
            workflow_id,
            "tidy",
            summary,
            instance_id,
        )

    async def watch(self, account_id: int) -> None:
        """Have an account's machines looked at now, and often while any is moving."""
        await self._temporal.start_workflow(
            workflow_contracts.WATCH_WORKFLOW,
            WatchInput(account_id=account_id),
            id=workflow_contracts.watch_workflow_id(account_id),
            task_queue=workflow_contracts.TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal=workflow_contracts.SIGNAL_CHANGED,
            search_attributes=search_attributes("watch", None),
            static_summary="Looks at the machines of one cloud account",
            rpc_timeout=RPC_DEADLINE,
        )

    async def changed(self, workflow_id: str, because: str) -> None:
        """Tell a workflow to read its rows again, and why. One that is not running reads them when it starts."""
        await self._signal(workflow_id, workflow_contracts.SIGNAL_CHANGED, because)

    async def seen(self, lease_id: str, seen: MachineSeen) -> None:
        """Tell a MachineWorkflow what its machine looks like now."""
        await self._signal(workflow_contracts.machine_workflow_id(lease_id), workflow_contracts.SIGNAL_SEEN, seen)

    async def look_at_server(self, endpoint_id: str) -> None:
        """Have an endpoint's model server looked at now: a request did not get through to it."""
        await self._signal(
            workflow_contracts.endpoint_workflow_id(endpoint_id),
            workflow_contracts.SIGNAL_SUSPECTED,
            "a request did not get through",
        )

    async def progress_of_endpoint(self, endpoint_id: str) -> EndpointProgress | None:
        """What the endpoint's running workflow says of itself; None when nobody answers within a second."""
        handle: WorkflowHandle[Any, Any] = self._temporal.get_workflow_handle(
            workflow_contracts.endpoint_workflow_id(endpoint_id)
        )
        try:
            answer: EndpointProgress = await handle.query(
                workflow_contracts.QUERY_PROGRESS, result_type=EndpointProgress, rpc_timeout=QUERY_DEADLINE
            )
            return answer
        except (RPCError, WorkflowQueryFailedError):
            return None

    async def _signal(self, workflow_id: str, name: str, *arguments: Any) -> None:
        handle: WorkflowHandle[Any, Any] = self._temporal.get_workflow_handle(workflow_id)
        try:
            await handle.signal(name, args=arguments, rpc_timeout=RPC_DEADLINE)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def _start(
        self,
        kind: str,
        input: Any,
        workflow_id: str,
        word: Kind,
        summary: str,
        instance_id: int | None,
        phase: str | None = None,
    ) -> None:
        await self._temporal.start_workflow(
            kind,
            input,
            id=workflow_id,
            task_queue=workflow_contracts.TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=search_attributes(word, instance_id, phase),
            static_summary=summary[:200] or None,
            start_delay=None if word == "machine" else AFTER_THE_MACHINE,
            rpc_timeout=RPC_DEADLINE,
        )


def search_attributes(kind: Kind, instance_id: int | None = None, phase: str | None = None) -> TypedSearchAttributes:
    pairs: list[SearchAttributePair[Any]] = [SearchAttributePair(KIND, kind)]
    if phase is not None:
        pairs.append(SearchAttributePair(PHASE, phase))
    if instance_id is not None:
        pairs.append(SearchAttributePair(INSTANCE_ID, instance_id))
    return TypedSearchAttributes(pairs)


async def connect(settings: Settings, runtime: Runtime | None = None, *, lazy: bool = False) -> Client:
    """Every process connects through this, so that all write and read inputs in the same way.

    `lazy`: connect at the first call, so that a process can start while Temporal is away.
    """
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        data_converter=pydantic_data_converter,
        runtime=runtime,
        lazy=lazy,
    )


def measured_runtime(address: str | None) -> Runtime | None:
    """A runtime that shows its metrics to Prometheus at `address`; None without one. One per address and process."""
    if address is None:
        return None
    prometheus = PrometheusConfig(
        bind_address=address, counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
    )
    return Runtime(telemetry=TelemetryConfig(metrics=prometheus))
