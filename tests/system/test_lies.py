"""What the cloud says is not always so: nothing in use is lost by it, nothing is rented twice, nothing is forgotten."""

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from domain.workflow_contracts import machine_workflow_id
from settings import Settings
from tests.system.running import Running, until
from workflow_client.client import connect

RENT = "PUT /api/v0/asks/"
LISTING = "GET /api/v1/instances/"
LIES: list[dict[str, Any]] = [
    {"fault": "empty_list"},
    {"fault": "truncated_list"},
    {"fault": "garbage"},
    {"fault": "empty_page"},
    {"fault": "cut_page"},
    {"fault": "missing_fields"},
    {"fault": "empty_body"},
    {"fault": "success_false"},
    {"fault": "wrong_content_type"},
    {"fault": "duplicates"},
    {"fault": "stale"},
    {"fault": "status", "status": 502},
    {"fault": "status", "status": 410, "body": {"success": False, "error": "deprecated_endpoint", "msg": "gone"}},
    {"fault": "status", "status": 429, "body": "API requests too frequent: endpoint threshold=1.0"},
    {"fault": "status", "status": 404, "body": {"success": False, "error": "auth_error", "msg": "Invalid user key"}},
]


FOR_EVERY_RUN = [LIES[0]]


async def test_a_listing_that_lies_costs_no_machine_that_is_in_use(system: Running) -> None:
    await live_through(system, FOR_EVERY_RUN)


@pytest.mark.long
async def test_any_lie_of_a_listing_costs_no_machine_that_is_in_use(system: Running) -> None:
    await live_through(system, LIES)


async def live_through(system: Running, lies: list[dict[str, Any]]) -> None:
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    (machine,) = await system.machines()
    for lie in lies:
        await system.simulator.delete("/simulator/faults")
        await system.fault(LISTING, **(lie | {"times": None}))
        await asyncio.sleep(2.5)  # for so long the cloud lies: more than two sweeps, and the time between two listings
        assert [each["id"] for each in await system.machines()] == [machine["id"]], lie
    await system.simulator.delete("/simulator/faults")
    assert (await system.status(deployment["id"]))["status"] == "ready"
    assert (await system.api.get(f"{deployment['endpoint']}/v1/models")).status_code == 200


@pytest.mark.long
@pytest.mark.parametrize("lie", LIES, ids=lambda lie: str(lie.get("status", lie["fault"])))
async def test_a_listing_that_lies_while_a_rent_reply_is_lost_rents_once(system: Running, lie: dict[str, Any]) -> None:
    await system.fault(RENT, "drop_after_commit")
    await system.fault(LISTING, **(lie | {"times": 2}))
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    await system.alive(1, seconds=30)


@pytest.mark.long
async def test_a_destroy_that_answers_well_and_does_nothing_is_asked_again(system: Running) -> None:
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    await system.fault("DELETE /api/v0/instances/", "ignored", times=3)
    await system.stop(deployment["id"])
    await system.alive(0)


@pytest.mark.long
@pytest.mark.parametrize("status", [429, 502])
async def test_a_destroy_that_is_refused_is_asked_again(system: Running, status: int) -> None:
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    await system.fault("DELETE /api/v0/instances/", "status", status=status, times=2)
    await system.stop(deployment["id"])
    await system.alive(0)


@pytest.mark.long
async def test_a_destroy_that_is_plainly_refused_is_waited_out_by_the_same_flow_and_told_of(system: Running) -> None:
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    refusal = {"success": False, "error": "invalid_args", "msg": "not now"}
    await system.fault("DELETE /api/v0/instances/", "status", status=400, body=refusal, times=None)
    await system.api.delete(f"/models/{deployment['id']}")

    async def told() -> bool | None:
        alarms = (await system.api.get("/leases")).json()["alarms"]
        return any(alarm["kind"] == "release_slow" for alarm in alarms) or None

    await until(told, 30, "the alarm")
    (lease,) = (await system.api.get("/leases")).json()["leases"]
    assert lease["state"] == "releasing"
    assert len(await system.machines()) == 1
    await system.simulator.delete("/simulator/faults")
    await system.alive(0, seconds=40)
    await until(lambda: _untold(system), 20, "the alarm to end")
    temporal = await connect(Settings(temporal_address=system.addresses["temporal"]))

    async def runs() -> list[WorkflowExecutionStatus | None] | None:
        found = temporal.list_workflows(f"WorkflowId = '{machine_workflow_id(lease['id'])}'")
        seen = [flow.status async for flow in found]
        return seen if WorkflowExecutionStatus.RUNNING not in seen else None

    assert await until(runs, 20, "the flow to end") == [WorkflowExecutionStatus.COMPLETED]


async def _untold(system: Running) -> bool | None:
    answer = (await system.api.get("/leases")).json()
    return (answer["count"] == 0 and not any(each["kind"] == "release_slow" for each in answer["alarms"])) or None


async def _refused(system: Running, method: str) -> bool | None:
    """Whether the fault that answers such requests has been met."""
    faults = (await system.simulator.get("/simulator/faults")).json()["faults"]
    return next(fault["fired"] for fault in faults if fault["endpoint"].startswith(method)) > 0 or None


@pytest.mark.long
async def test_a_bad_key_read_as_404_is_not_taken_for_gone(system: Running) -> None:
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    refused = {"success": False, "error": "auth_error", "msg": "Invalid user key"}
    await system.fault("GET /api/v0/instances/", "status", status=404, body=refused, times=4)
    await system.fault("DELETE /api/v0/instances/", "status", status=404, body=refused, times=1)
    await system.api.delete(f"/models/{deployment['id']}")
    await until(lambda: _refused(system, "DELETE"), 20, "the release to be refused")
    leases = (await system.api.get("/leases")).json()["leases"]
    assert [lease["state"] for lease in leases] == ["releasing"]
    assert len(await system.machines()) == 1


async def test_an_error_that_made_a_machine_after_all_is_released(system: Running) -> None:
    await system.fault(RENT, "error_with_contract")
    deployment = await system.deploy()
    status = await system.ready(deployment["id"])
    assert [each["outcome"] for each in status["offers_tried"]] == ["refused", "working"]
    await system.alive(1)


@pytest.mark.long
async def test_one_offer_sold_to_many_at_once_ends_with_one_machine_each(system: Running) -> None:
    await system.fault(RENT, "double_sale", times=4)
    deployments = await asyncio.gather(*(system.deploy() for _ in range(4)))
    for deployment in deployments:
        await system.ready(deployment["id"], seconds=90)
    await system.alive(4)
