"""A snapshot on a new instance: it is there until its files are, or the request is refused and nothing is rented."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update

from api.admission import find_offers
from db.instances.tables import Instance
from db.snapshots import snapshots
from db.snapshots.tables import Snapshot
from tests.api.test_for_sleeping import ready_snapshot
from tests.api.test_instances import make


async def test_one_that_goes_while_the_market_is_searched_is_refused(
    app: FastAPI, rita: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot_id = await ready_snapshot(app, (await make(rita))["id"])
    database = app.state.app_state.database

    async def slow_search(*given: Any) -> Any:
        async with database.begin() as session:
            forgotten = update(Snapshot).where(Snapshot.id == snapshot_id).values(deleted_at=func.now())
            await session.execute(forgotten)
        return await find_offers(*given)

    monkeypatch.setattr("api.snapshots.restores.find_offers", slow_search)
    answer = await rita.post(f"/api/snapshots/{snapshot_id}/restore")
    assert (answer.status_code, answer.json()["error"]) == (409, "wrong_state")
    assert "deleted meanwhile" in answer.json()["detail"]
    async with database.begin() as session:
        assert (await session.scalars(select(Instance).where(Instance.restore_snapshot_id == snapshot_id))).all() == []


async def test_one_that_is_asked_for_is_seen_by_who_forgets(app: FastAPI, rita: httpx.AsyncClient) -> None:
    made = await make(rita)
    snapshot_id = await ready_snapshot(app, made["id"])
    assert (await rita.post(f"/api/snapshots/{snapshot_id}/restore")).status_code == 202
    async with app.state.app_state.database.begin() as session:
        assert await snapshots.being_restored(session, made["id"]) == {snapshot_id}
