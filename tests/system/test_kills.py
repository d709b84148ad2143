"""Bad luck with ourselves: processes killed and flows terminated in the middle cost time, never a machine."""

import contextlib
from functools import partial

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from domain.workflow_contracts import (
    REAP_WORKFLOW_ID,
    RECONCILE_WORKFLOW_ID,
    endpoint_workflow_id,
    instance_workflow_id,
)
from settings import Settings
from tests.long_runs import only_long
from tests.system.running import Running, at_stage, until
from tests.system.test_lost_machines import elsewhere
from workflow_client.client import connect


@pytest.mark.parametrize("name", ["worker", "postgres", *only_long("api", "gateway", "temporal")])
async def test_kill_9_in_the_middle_of_a_deploy_costs_time_only(system: Running, name: str) -> None:
    deployment = await system.deploy()
    pid = system.kill(name)
    status = await system.ended(deployment["id"])
    assert status["status"] == "ready", status
    await system.alive(1)
    system.installation.await_new_pid(name, pid)
    answers = await until(lambda: _answers(system, deployment["endpoint"]), 20, "the endpoint")
    assert answers


@pytest.mark.long
async def test_a_terminate_click_on_every_flow_costs_time_only(system: Running) -> None:
    temporal = await connect(Settings(temporal_address=system.addresses["temporal"]))
    deployment = await system.deploy()
    await until(lambda: at_stage(system, deployment["id"], "provisioning"), 10, "the deploy to begin")
    endpoint = endpoint_workflow_id(deployment["endpoint_id"])
    await _terminate(temporal, endpoint, instance_workflow_id(deployment["instance_id"]))
    async for flow in temporal.list_workflows("WorkflowType='MachineWorkflow' AND ExecutionStatus='Running'"):
        await _terminate(temporal, flow.id)
    await system.ready(deployment["id"])
    await system.alive(1)


@pytest.mark.long
async def test_a_terminate_click_on_whatever_runs_while_a_machine_is_held_costs_time_only(system: Running) -> None:
    """Also on the watch of the account and on both sweeps: the next loss is noticed, and the next orphan."""
    temporal = await connect(Settings(temporal_address=system.addresses["temporal"]))
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    kinds = set()
    for _ in range(3):
        async for flow in temporal.list_workflows("ExecutionStatus='Running'"):
            kinds.add(flow.workflow_type)
            with contextlib.suppress(RPCError):  # it has ended by itself since
                await _terminate(temporal, flow.id)
    assert {"WatchWorkflow", "InstanceWorkflow", "MachineWorkflow", "EndpointWorkflow"} <= kinds
    for workflow_id in (REAP_WORKFLOW_ID, RECONCILE_WORKFLOW_ID):
        await until(partial(_clicked, temporal, workflow_id), 30, f"{workflow_id} to be there for a click")
    (machine,) = await system.alive(1)
    await system.simulator.post(f"/simulator/machines/{machine['id']}/kill")
    await until(lambda: elsewhere(system, machine["id"]), 90, "the loss to be noticed")
    await until(lambda: _answers(system, deployment["endpoint"]), 60, "the endpoint")
    await system.rent_by_hand(machine["label"])
    await system.alive(1, seconds=40)


async def _clicked(temporal: Client, prefix: str) -> bool | None:
    """A sweep is short: look until one is caught at it."""
    async for flow in temporal.list_workflows(f"WorkflowId STARTS_WITH '{prefix}' AND ExecutionStatus='Running'"):
        try:
            await _terminate(temporal, flow.id)
        except RPCError:
            continue
        return True
    return None


async def _terminate(temporal: Client, *workflow_ids: str) -> None:
    for workflow_id in workflow_ids:
        await temporal.get_workflow_handle(workflow_id).terminate("a click")


async def _answers(system: Running, endpoint: str) -> bool | None:
    return (await system.api.get(f"{endpoint}/v1/models")).status_code == 200 or None
