"""Bad luck with ourselves: processes killed and flows terminated in the middle cost time, never a machine."""

import pytest
from temporalio.client import Client

from activities.flows import connect
from domain.flows import deploy_workflow_id, instance_workflow_id
from settings import Settings
from tests.system.running import Running, at_stage, until


@pytest.mark.parametrize("name", ["worker", "api", "gateway", "temporal", "postgres"])
async def test_kill_9_in_the_middle_of_a_deploy_costs_time_only(system: Running, name: str) -> None:
    deployment = await system.deploy()
    pid = system.kill(name)
    status = await system.ended(deployment["id"])
    assert status["status"] == "ready", status
    await system.alive(1)
    system.installation.await_new_pid(name, pid)
    answers = await until(lambda: _answers(system, deployment["endpoint"]), 20, "the endpoint")
    assert answers


async def test_a_terminate_click_on_every_flow_costs_time_only(system: Running) -> None:
    temporal = await connect(Settings(temporal_address=system.addresses["temporal"]))
    deployment = await system.deploy()
    await until(lambda: at_stage(system, deployment["id"], "provisioning"), 10, "the deploy to begin")
    await _terminate(temporal, deploy_workflow_id(deployment["id"]), instance_workflow_id(deployment["instance_id"]))
    async for flow in temporal.list_workflows("WorkflowType='MachineWorkflow' AND ExecutionStatus='Running'"):
        await _terminate(temporal, flow.id)
    await system.ready(deployment["id"])
    await system.alive(1)


async def _terminate(temporal: Client, *workflow_ids: str) -> None:
    for workflow_id in workflow_ids:
        await temporal.get_workflow_handle(workflow_id).terminate("a click")


async def _answers(system: Running, endpoint: str) -> bool | None:
    return (await system.api.get(f"{endpoint}/v1/models")).status_code == 200 or None
