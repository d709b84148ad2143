"""kill -9 at every named point of our own code: the deploy ends as it should, and the books agree."""

import asyncio
from pathlib import Path

import httpx
import pytest

from activities.points import Point
from tests.system.running import Running, until

FOR_EVERY_RUN = [Point.DEPLOY_COMMITTED, Point.RENT_MARKED, Point.RENT_ANSWERED, Point.RELEASE_ASKED]
ENDING = [Point.LET_GO, *(point for point in Point if point.name.startswith("RELEASE"))]
ANYTHING = {"gpu_type": "RTX", "max_price": 5.0}
"""Hosts that failed are avoided for half an hour, and a drill of two hundred kills meets many."""
OF_THE_VAULT = [*(point for point in Point if point.name.startswith("SNAPSHOT")), Point.RESTORED]
"""No deploy gets there: tests/vault/."""
IN_THE_API = [Point.DEPLOY_COMMITTED, Point.MACHINE_STARTED]
PREPARED = {
    Point.RESERVED_AGAIN: ("machine:boot", {"fault": "exits"}),
}


@pytest.mark.parametrize("point", FOR_EVERY_RUN)
async def test_kill_9_at_a_point_costs_time_only(system: Running, point: Point) -> None:
    await killed_at(system, point)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("point", [point for point in Point if point not in OF_THE_VAULT])
async def test_kill_9_at_every_point_many_times(system: Running, point: Point) -> None:
    for _ in range(11):
        await killed_at(system, point)


async def killed_at(system: Running, point: Point) -> None:
    if point in PREPARED:
        endpoint, fault = PREPARED[point]
        await system.fault(endpoint, **fault)
    if point in ENDING:
        deployment = await system.deploy(**ANYTHING)
        await system.ready(deployment["id"])
        reached = system.order(point, "kill")
    else:
        reached = system.order(point, "kill")
        deployment = await deployed(system, point)
        await system.ready(str(deployment["id"]), seconds=90)
        await system.alive(1, seconds=30)
    await until(lambda: _ended(system, deployment["id"]), 60, "the deployment to end")
    await until(lambda: _is_there(reached), 30, f"a process to be at {point}")
    await system.alive(0, seconds=60)


async def deployed(system: Running, point: Point) -> dict[str, object]:
    """Killed right after its commit, the api cannot answer; what it wrote is found and served all the same."""
    if point not in IN_THE_API:
        return await system.deploy(**ANYTHING)
    before = {each["id"] for each in await until(lambda: _models(system), 30, "the api")}
    with pytest.raises(httpx.TransportError):
        await system.deploy(**ANYTHING)

    async def there() -> dict[str, object] | None:
        return next((row for row in await _models(system) if row["id"] not in before), None)

    return await until(there, 30, "the deploy that was committed")


async def _models(system: Running) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = (await system.api.get("/models")).json()["models"]
    return rows


async def _ended(system: Running, deployment_id: object) -> bool | None:
    answer = await system.api.delete(f"/models/{deployment_id}")
    if answer.status_code not in (200, 202, 404, 409):
        return None
    return (await system.status(str(deployment_id)))["status"] in ("stopped", "failed") or None


async def _is_there(path: Path) -> bool | None:
    return await asyncio.to_thread(path.exists) or None
