"""Snapshots of an instance of the running system, as its owner asks for them."""

from typing import Any

import pytest

from failpoints import Failpoint
from tests.long_runs import only_long
from tests.system.running import Running, until

PATHS = {"paths": ["/workspace", "/root"]}


async def running_instance(system: Running) -> int:
    deployed = await system.deploy()
    await system.ready(deployed["id"])
    return int(deployed["instance_id"])


async def taken(system: Running, instance_id: int, **body: Any) -> str:
    answer = await system.api.post("/snapshots", json={"instance_id": instance_id, **PATHS, **body})
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "creating"
    return str(answer.json()["snapshot_id"])


async def ended(system: Running, snapshot_id: str) -> dict[str, Any]:
    async def over() -> dict[str, Any] | None:
        answer = await system.api.get(f"/snapshots/{snapshot_id}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body if body["status"] == "failed" or body["verified"] else None

    return await until(over, 90, "the snapshot to end")


async def test_a_snapshot_is_taken_verified_listed_and_deleted(system: Running) -> None:
    instance_id = await running_instance(system)
    key = {"Idempotency-Key": "one"}
    body = {"instance_id": instance_id, **PATHS, "label": "before the change"}
    first = await system.api.post("/snapshots", json=body, headers=key)
    again = await system.api.post("/snapshots", json=body, headers=key)
    assert first.json()["id"] == again.json()["id"]
    shown = await ended(system, first.json()["id"])
    assert (shown["status"], shown["verified"], shown["paths"]) == ("ready", True, PATHS["paths"])
    assert shown["files"] > 0
    assert shown["short_id"]
    listed = (await system.api.get(f"/snapshots?instance_id={instance_id}")).json()
    assert [each["id"] for each in listed["snapshots"]] == [shown["id"]]
    assert (await system.api.delete(f"/snapshots/{shown['id']}")).status_code == 200
    assert (await system.api.get(f"/snapshots/{shown['id']}")).status_code == 404
    assert (await system.api.get("/snapshots")).json()["total"] == 0


@pytest.mark.long
async def test_pages_hold_what_is_there(system: Running) -> None:
    instance_id = await running_instance(system)
    made = [await taken(system, instance_id) for _ in range(3)]
    for each in made:
        assert (await ended(system, each))["status"] == "ready"
    first = (await system.api.get("/snapshots?limit=2")).json()
    rest = (await system.api.get(f"/snapshots?limit=2&cursor={first['next_cursor']}")).json()
    assert [each["id"] for each in first["snapshots"] + rest["snapshots"]] == made[::-1]
    assert rest["next_cursor"] is None
    assert (await system.api.get("/snapshots?cursor=nonsense")).status_code == 422


@pytest.mark.long
@pytest.mark.parametrize(
    "point", [Failpoint.SNAPSHOT_SENT, *only_long(Failpoint.SNAPSHOT_RECORDED, Failpoint.SNAPSHOT_VERIFIED)]
)
async def test_kill_9_of_the_worker_at_a_point_of_a_snapshot_costs_time_only(system: Running, point: Failpoint) -> None:
    instance_id = await running_instance(system)
    reached = system.order(point, "kill")
    snapshot_id = await taken(system, instance_id)
    assert (await ended(system, snapshot_id))["status"] == "ready"
    assert reached.exists()


@pytest.mark.parametrize("name", only_long("vault", "worker", "temporal", "postgres"))
async def test_kill_9_in_the_middle_of_a_snapshot_costs_time_only(system: Running, name: str) -> None:
    instance_id = await running_instance(system)
    snapshot_id = await taken(system, instance_id)
    system.kill(name)
    assert (await ended(system, snapshot_id))["status"] == "ready"


async def test_a_snapshot_that_is_cancelled_is_gone(system: Running) -> None:
    instance_id = await running_instance(system)
    snapshot_id = await taken(system, instance_id)
    answer = await system.api.delete(f"/snapshots/{snapshot_id}")
    assert answer.status_code == 200
    assert answer.json()["status"] in ("failed", "ready")
    assert (await system.api.get(f"/snapshots/{snapshot_id}")).status_code == 404


async def test_what_cannot_be_is_refused_with_the_reason(system: Running) -> None:
    await system.fault("PUT /api/v0/asks/", "status", status=502, times=None)
    deployed = await system.deploy()
    instance_id = int(deployed["instance_id"])
    early = await system.api.post("/snapshots", json={"instance_id": instance_id})
    assert (early.status_code, early.json()["error"]) == (409, "wrong_state")
    await system.simulator.delete("/simulator/faults")
    await system.ready(deployed["id"])
    snapshot_id = await taken(system, instance_id)
    other = Running(system.installation)
    await other.register()
    assert (await other.api.get(f"/snapshots/{snapshot_id}")).status_code == 404
    assert (await other.api.delete(f"/snapshots/{snapshot_id}")).status_code == 404
    assert (await other.api.post(f"/snapshots/{snapshot_id}/restore")).status_code == 404
    assert (await other.api.post("/snapshots", json={"instance_id": instance_id})).status_code == 404
    assert (await other.api.get(f"/snapshots?instance_id={instance_id}")).json()["total"] == 0
    await other.close()
    for wrong in (["relative"], ["/"], ["/a/../b"], [], ["/a\x00b"]):
        answer = await system.api.post("/snapshots", json={"instance_id": instance_id, "paths": wrong})
        assert answer.status_code == 422, wrong
    await ended(system, snapshot_id)
    await system.stop(deployed["id"])
    late = await system.api.post("/snapshots", json={"instance_id": instance_id})
    assert (late.status_code, late.json()["error"]) == (409, "wrong_state")
    assert snapshot_id in late.json()["detail"]
    over = await system.api.post(f"/snapshots/{snapshot_id}/restore", json={"instance_id": instance_id})
    assert over.status_code == 409


@pytest.mark.long
async def test_a_restore_is_wished_and_kept_for_the_instances_workflow(system: Running) -> None:
    instance_id = int((await system.create())["id"])
    await system.becomes(instance_id, "running")
    snapshot_id = await taken(system, instance_id)
    await ended(system, snapshot_id)
    answer = await system.api.post(f"/snapshots/{snapshot_id}/restore", json={"instance_id": instance_id})
    assert answer.status_code == 202, answer.text
    assert answer.json()["instance_id"] == instance_id
    in_use = await system.api.delete(f"/snapshots/{snapshot_id}")
    assert (in_use.status_code, in_use.json()["error"]) == (409, "wrong_state")
    kinds = [each["kind"] for each in (await system.api.get(f"/instances/{instance_id}/events")).json()["events"]]
    assert "restore" in kinds


@pytest.mark.long
async def test_nothing_is_restored_into_an_instance_that_serves_a_model(system: Running) -> None:
    instance_id = await running_instance(system)
    snapshot_id = await taken(system, instance_id)
    await ended(system, snapshot_id)
    answer = await system.api.post(f"/snapshots/{snapshot_id}/restore", json={"instance_id": instance_id})
    assert (answer.status_code, answer.json()["error"]) == (409, "wrong_state")
    assert "serves a model" in answer.json()["detail"]
