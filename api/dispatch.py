"""Starts and signals workflows after the commit. A failure here fails no request: the reconciler does it later."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from activities.instances.instances import machine_summary
from api.app_state import TEMPORAL_DOWN
from db.endpoints.tables import Deployment
from db.instances.tables import Instance
from db.machines.leases import holder_of
from db.machines.tables import Lease
from domain.workflow_contracts import endpoint_workflow_id, instance_workflow_id
from workflow_client.client import WorkflowClient

log = logging.getLogger(__name__)


async def start_flows(workflows: WorkflowClient, instance: Instance, deployment: Deployment, lease: Lease) -> None:
    """Start the workflows of a new deployment, the machine's first, since the others wait for it."""
    summary = machine_summary(lease)
    model = f"{deployment.model_id} on instance {instance.id}"
    await _start(
        workflows, instance, lease, summary, workflows.start_endpoint(deployment.endpoint_id, instance.id, model)
    )


async def start_instance_flows(workflows: WorkflowClient, instance: Instance, lease: Lease) -> None:
    """Start the workflows of a new instance without a model."""
    await _start(workflows, instance, lease, machine_summary(lease))


async def _start(
    workflows: WorkflowClient,
    instance: Instance,
    lease: Lease,
    summary: str,
    *beside: Coroutine[Any, Any, None],
) -> None:
    (failed,) = await asyncio.gather(
        workflows.start_machine(lease.id, summary, holder_of(lease)), return_exceptions=True
    )
    served = None if failed else lease.id
    others = await asyncio.gather(
        workflows.start_instance(instance.id, summary, served), *beside, return_exceptions=True
    )
    for error in filter(None, [failed, *others]):
        log.warning("instance %s waits for the reconciler: %s", instance.id, type(error).__name__)


async def tell_endpoint(workflows: WorkflowClient, endpoint_id: str) -> None:
    """Signal an endpoint's workflow that its rows changed."""
    await _try(f"endpoint {endpoint_id}", workflows.changed(endpoint_workflow_id(endpoint_id), "its owner changed it"))


async def tell_changed(workflows: WorkflowClient, instance_id: int, endpoint_ids: list[str]) -> None:
    """Signal the workflows of an instance and its endpoints."""
    names = [instance_workflow_id(instance_id), *map(endpoint_workflow_id, endpoint_ids)]
    for name in names:
        try:
            await workflows.changed(name, "its owner changed it")
        except TEMPORAL_DOWN as error:
            log.warning("%s waits for the reconciler: %s", name, type(error).__name__)


async def start_job_flow(workflows: WorkflowClient, job_id: str, name: str) -> None:
    """Start a job's workflow, or have it read its rows again."""
    await _try(f"job {job_id}", workflows.start_job(job_id, name))


async def start_snapshot(workflows: WorkflowClient, snapshot_id: str, instance_id: int) -> None:
    """Start the workflow of a snapshot."""
    await _try(f"snapshot {snapshot_id}", workflows.start_snapshot(snapshot_id, instance_id))


async def tell_instance(workflows: WorkflowClient, instance_id: int) -> None:
    """Signal an instance's workflow, and start it if it does not run."""
    await _try(f"instance {instance_id}", workflows.tell_instance(instance_id))


async def tell_deleted(workflows: WorkflowClient, snapshot_id: str, instance_id: int) -> None:
    """A snapshot was deleted: cancel its workflow, and have the vault delete its data."""
    await _try(f"snapshot {snapshot_id}", workflows.cancel_snapshot(snapshot_id))
    await _try(f"the vault of instance {instance_id}", workflows.tidy_vault(instance_id))


async def _try(what: str, call: Coroutine[Any, Any, None]) -> None:
    try:
        await call
    except TEMPORAL_DOWN as error:
        log.warning("%s waits for the reconciler: %s", what, type(error).__name__)
