"""A snapshot is deleted, or restored, while the instance that it is of loses its machine, or moves."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, text, update

from activities.instances.power import InstancePowerActivities
from api.app_state import AppState
from db.instances.tables import Instance
from db.machines.tables import Lease
from db.session import Database
from db.snapshots import snapshots
from db.snapshots.tables import Snapshot
from domain.instances.phases import Desired, InstanceStatus
from domain.machines.phases import LeaseState, Power
from settings import Settings
from tests.api.test_for_sleeping import ready_snapshot
from tests.api.test_instances import make, put
from tests.patience import becomes

ALL = {"final": True, "paths": ["/"], "taken_at": func.now(), "ended_at": func.now()}
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
STOPPED: dict[str, Any] = {"state": LeaseState.STOPPED, "power": Power.STOPPED}


async def asleep(app: FastAPI, user: httpx.AsyncClient, **lease: Any) -> tuple[int, str]:
    """An instance that was paused a minute ago, all its files in one snapshot."""
    made = await make(user)
    snapshot_id = await ready_snapshot(app, made["id"])
    before = func.now() - timedelta(minutes=1)
    async with database_of(app).begin() as session:
        instance = await session.get_one(Instance, made["id"])
        instance.data_lease_id = instance.lease_id
        values = {**STOPPED, "ran_until": before, "stopped_at": func.now()} | lease
        await session.execute(update(Lease).where(Lease.id == instance.lease_id).values(values))
        await session.execute(update(Snapshot).where(Snapshot.id == snapshot_id).values(ALL))
    await put(app, made["id"], InstanceStatus.PAUSED, Desired.PAUSED)
    return made["id"], snapshot_id


def database_of(app: FastAPI) -> Database:
    state: AppState = app.state.app_state
    return state.database


async def until_waiting_or_done(app: FastAPI, task: asyncio.Task[Any]) -> None:
    async def is_there() -> bool:
        async with database_of(app).begin() as session:
            return task.done() or bool(await session.scalar(text(WAITING)))

    await becomes(is_there, True)


async def test_the_only_copy_is_not_deleted_while_its_machine_is_given_up_or_gone(
    app: FastAPI, rita: httpx.AsyncClient
) -> None:
    instance_id, snapshot_id = await asleep(app, rita, state=LeaseState.CLOSED, wanted=False)
    for status, desired, told in [
        (InstanceStatus.HIBERNATED, Desired.HIBERNATED, "The instance is hibernated, and this is the last snapshot"),
        (InstanceStatus.RESUMING, Desired.RUNNING, "No machine is sure to keep the instance's files, and this is the"),
        (InstanceStatus.RUNNING, Desired.RUNNING, "No machine is sure to keep the instance's files, and this is the"),
    ]:
        await put(app, instance_id, status, desired)
        answer = await rita.delete(f"/api/snapshots/{snapshot_id}")
        assert (answer.status_code, answer.json()["error"]) == (409, "snapshot_in_use")
        assert told in answer.json()["detail"]
    assert (await rita.delete(f"/api/snapshots/{snapshot_id}?force=true")).status_code == 200


async def test_what_a_machine_has_too_is_deleted_once(app: FastAPI, rita: httpx.AsyncClient) -> None:
    _, snapshot_id = await asleep(app, rita)
    answers = await asyncio.gather(*(rita.delete(f"/api/snapshots/{snapshot_id}") for _ in range(2)))
    assert sorted(each.status_code for each in answers) == [200, 404]


async def test_a_machine_is_not_given_up_while_the_only_other_copy_is_deleted(
    app: FastAPI, rita: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance_id, snapshot_id = await asleep(app, rita)
    database, delete = database_of(app), snapshots.delete
    reached, gate = asyncio.Event(), asyncio.Event()

    async def slow_delete(*given: Any, **named: Any) -> None:
        await delete(*given, **named)
        reached.set()
        await gate.wait()

    async def hibernate() -> None:
        async with database.begin() as session:
            instance = await session.get_one(Instance, instance_id, with_for_update=True)
            instance.desired, instance.status = Desired.HIBERNATED, InstanceStatus.HIBERNATING
        await InstancePowerActivities(database, app.state.app_state.workflows, settings).release_if_saved(instance_id)

    monkeypatch.setattr(snapshots, "delete", slow_delete)
    deleting = asyncio.create_task(rita.delete(f"/api/snapshots/{snapshot_id}"))
    await reached.wait()
    hibernating = asyncio.create_task(hibernate())
    await until_waiting_or_done(app, hibernating)
    gate.set()
    assert (await deleting).status_code == 200
    await hibernating
    async with database.begin() as session:
        assert (await session.scalars(select(Lease.wanted).where(Lease.holder_id == str(instance_id)))).all() == [True]


async def test_a_restore_and_a_move_of_its_instance_wait_for_each_other(app: FastAPI, rita: httpx.AsyncClient) -> None:
    """Who moves it holds its row, then writes to the snapshot; a restore that held that first would be in its way."""
    instance_id, snapshot_id = await asleep(app, rita)
    async with database_of(app).begin() as session:
        await session.get_one(Instance, instance_id, with_for_update=True)
        body = {"instance_id": instance_id}
        restoring = asyncio.create_task(rita.post(f"/api/snapshots/{snapshot_id}/restore", json=body))
        await until_waiting_or_done(app, restoring)
        await session.execute(update(Snapshot).where(Snapshot.id == snapshot_id).values(epoch=1))
    assert (await restoring).status_code == 202
