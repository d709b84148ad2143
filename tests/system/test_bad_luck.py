"""Bad luck at every step of a deploy: it ends ready with one machine, or failed with a reason and none."""

import pytest
from temporalio.client import Client

from activities.flows import connect
from domain.flows import deploy_workflow_id, instance_workflow_id
from settings import Settings
from tests.system.running import Running, until

RENT = "PUT /api/v0/asks/"


async def test_a_rent_reply_lost_after_commit_rents_once(system: Running) -> None:
    await system.fault(RENT, "drop_after_commit")
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    await system.alive(1)
    assert len((await system.status(deployment["id"]))["offers_tried"]) == 1


async def test_a_rent_request_lost_before_commit_tries_the_next_offer(system: Running) -> None:
    await system.fault(RENT, "drop_before_commit")
    deployment = await system.deploy()
    status = await system.ready(deployment["id"])
    await system.alive(1)
    assert [each["outcome"] for each in status["offers_tried"]] == ["answer_lost", "working"]


@pytest.mark.parametrize(
    "trouble",
    [
        {"fault": "status", "status": 502, "times": 2},
        {"fault": "status", "status": 429, "body": "API requests too frequent: endpoint threshold=4.5", "times": 2},
        {"fault": "success_without_id"},
        {"fault": "garbage"},
    ],
    ids=["bad gateway", "too frequent", "success without an id", "garbage"],
)
async def test_odd_answers_to_a_rent_end_with_one_machine(system: Running, trouble: dict[str, object]) -> None:
    await system.fault(RENT, **trouble)  # type: ignore[arg-type]
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    await system.alive(1)


async def test_an_offer_that_went_is_passed_over(system: Running) -> None:
    body = {"success": False, "error": "invalid_args", "msg": "error 404/3603: no_such_ask Instance type by id 1."}
    await system.fault(RENT, "status", status=400, body=body)
    deployment = await system.deploy()
    status = await system.ready(deployment["id"])
    assert [each["outcome"] for each in status["offers_tried"]] == ["offer_gone", "working"], status
    await system.alive(1)


async def test_a_phantom_machine_is_given_up_and_the_next_offer_tried(system: Running) -> None:
    await system.fault(RENT, "phantom")
    deployment = await system.deploy()
    status = await system.ready(deployment["id"])
    assert [each["outcome"] for each in status["offers_tried"]] == ["boot_failed", "working"]
    await system.alive(1)


async def test_a_machine_that_never_boots_is_replaced(system: Running) -> None:
    await system.fault("machine:boot", "never_boots")
    deployment = await system.deploy()
    status = await system.ready(deployment["id"])
    assert [each["outcome"] for each in status["offers_tried"]] == ["boot_failed", "working"]
    await system.alive(1)


async def test_a_model_server_that_is_never_healthy_fails_the_deploy_and_releases_the_machine(system: Running) -> None:
    await system.fault("machine:model_server", "never_healthy")
    deployment = await system.deploy()
    status = await system.ended(deployment["id"])
    assert status["status"] == "failed"
    assert status["message"]
    assert await system.machines() == []


async def test_a_model_server_that_ends_fails_the_deploy_with_what_it_said_last(system: Running) -> None:
    deployment = await system.deploy(model_id="nobody/does-not-exist")
    status = await system.ended(deployment["id"])
    assert status["status"] == "failed"
    assert "RepositoryNotFoundError" in status["message"]
    assert await system.machines() == []


async def test_a_machine_that_is_gone_in_the_middle_fails_the_deploy(system: Running) -> None:
    await system.fault("machine:model_server", "never_healthy")
    deployment = await system.deploy()
    await until(lambda: _at_stage(system, deployment["id"], "loading_model"), 30, "the model to load")
    (machine,) = await system.machines()
    await system.simulator.post(f"/simulator/machines/{machine['id']}/kill")
    status = await system.ended(deployment["id"])
    assert status["status"] == "failed"
    assert await system.machines() == []


async def test_a_machine_that_is_lost_later_ends_the_deployment_and_says_why(system: Running) -> None:
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    (machine,) = await system.machines()
    await system.simulator.post(f"/simulator/machines/{machine['id']}/kill")

    async def noticed() -> bool | None:
        return (await system.status(deployment["id"]))["status"] == "failed" or None

    await until(noticed, 30, "the loss to be noticed")
    assert "lost" in (await system.status(deployment["id"]))["message"]


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
    await until(lambda: _at_stage(system, deployment["id"], "provisioning"), 10, "the deploy to begin")
    await _terminate(temporal, deploy_workflow_id(deployment["id"]), instance_workflow_id(deployment["instance_id"]))
    async for flow in temporal.list_workflows("WorkflowType='MachineWorkflow' AND ExecutionStatus='Running'"):
        await _terminate(temporal, flow.id)
    await system.ready(deployment["id"])
    await system.alive(1)


async def _terminate(temporal: Client, *workflow_ids: str) -> None:
    for workflow_id in workflow_ids:
        await temporal.get_workflow_handle(workflow_id).terminate("a click")


async def _at_stage(system: Running, deployment_id: str, stage: str) -> bool | None:
    return (await system.status(deployment_id))["stage"] == stage or None


async def _answers(system: Running, endpoint: str) -> bool | None:
    return (await system.api.get(f"{endpoint}/v1/models")).status_code == 200 or None
