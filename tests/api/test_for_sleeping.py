"""Instances that serve a model or run a job do not sleep, and no files are brought back to them."""

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, update

from db.instances.tables import Instance
from db.snapshots.tables import Snapshot
from domain.ids import new_id
from domain.instances.phases import Desired, InstanceKind, InstanceStatus
from domain.snapshots.phases import SnapshotStatus
from tests.api.test_instances import make

OTHERS = [InstanceKind.MODEL, InstanceKind.JOB]
VERBS = ["pause", "resume", "hibernate", "wake"]


async def held_for(app: FastAPI, user: httpx.AsyncClient, kind: InstanceKind) -> int:
    """A running instance with this kind."""
    made = await make(user)
    async with app.state.app_state.database.begin() as session:
        values = {"kind": kind, "status": InstanceStatus.RUNNING}
        await session.execute(update(Instance).where(Instance.id == made["id"]).values(values))
    return int(made["id"])


async def desired(app: FastAPI, instance_id: int) -> Desired:
    async with app.state.app_state.database.begin() as session:
        found: Instance = await session.get_one(Instance, instance_id)
    return found.desired


async def ready_snapshot(app: FastAPI, instance_id: int) -> str:
    async with app.state.app_state.database.begin() as session:
        instance = await session.get_one(Instance, instance_id)
        snapshot = Snapshot(
            id=new_id("snap"),
            user_id=instance.user_id,
            instance_id=instance.id,
            lease_id=instance.lease_id,
            epoch=instance.epoch,
            status=SnapshotStatus.READY,
            verified=True,
            taken_at=func.clock_timestamp(),
        )
        session.add(snapshot)
    return snapshot.id


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", OTHERS)
async def test_it_is_not_for_sleeping_and_says_what_it_is(
    app: FastAPI, rita: httpx.AsyncClient, kind: InstanceKind, verb: str
) -> None:
    instance_id = await held_for(app, rita, kind)
    answer = await rita.post(f"/api/instances/{instance_id}/{verb}")
    assert (answer.status_code, answer.json()["error"]) == (409, "wrong_state")
    assert f"a {kind.value}" in answer.json()["detail"]
    assert await desired(app, instance_id) is Desired.RUNNING
    assert (await rita.delete(f"/api/instances/{instance_id}")).status_code == 202


@pytest.mark.parametrize("kind", OTHERS)
async def test_no_files_are_brought_back_to_it(app: FastAPI, rita: httpx.AsyncClient, kind: InstanceKind) -> None:
    snapshot_id = await ready_snapshot(app, (await make(rita))["id"])
    instance_id = await held_for(app, rita, kind)
    answer = await rita.post(f"/api/snapshots/{snapshot_id}/restore", json={"instance_id": instance_id})
    assert (answer.status_code, answer.json()["error"]) == (409, "wrong_state")
    assert f"a {kind.value}" in answer.json()["detail"]
    async with app.state.app_state.database.begin() as session:
        assert (await session.get_one(Instance, instance_id)).restore_snapshot_id is None


async def test_a_jobs_instance_has_no_snapshots_a_models_may(app: FastAPI, rita: httpx.AsyncClient) -> None:
    of_job, of_model = [await held_for(app, rita, each) for each in (InstanceKind.JOB, InstanceKind.MODEL)]
    answer = await rita.post("/api/snapshots", json={"instance_id": of_job})
    assert (answer.status_code, answer.json()["error"]) == (409, "wrong_state")
    assert "a job" in answer.json()["detail"]
    assert (await rita.get(f"/api/snapshots?instance_id={of_job}")).json()["total"] == 0
    assert (await rita.post("/api/snapshots", json={"instance_id": of_model})).status_code == 202
