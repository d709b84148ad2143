"""One kill of one of our processes at a named point, in the middle of a deploy's life; and what the books say of it."""

import asyncio
import time
from pathlib import Path

import httpx
import psycopg

from failpoints import Failpoint
from tests.system.figures import Figures, judged
from tests.system.running import Running, until

ENDING = [Failpoint.REQUEST_RELEASE, *(point for point in Failpoint if point.name.startswith("RELEASE"))]
ANYTHING = {"gpu_type": "RTX", "max_price": 5.0}
IN_THE_API = [Failpoint.DEPLOY_COMMITTED, Failpoint.MACHINE_STARTED]
PREPARED = {
    Failpoint.RESERVED_AGAIN: ("machine:boot", {"fault": "exits"}),
}
READY, ENDED = 240.0, 180.0
"""Seconds that a busy machine may take."""


async def killed_at(system: Running, point: Failpoint) -> Figures:
    """A deploy in whose life a process is killed at this point, from its beginning to its end.

    What does not come to its end in time is told in the figures too, so that a drill goes on and counts.
    """
    before = {row["id"] for row in await system.machines(alive=None)}
    wanted: set[int] = set()
    stuck: list[str] = []
    ended_at = time.time()
    try:
        deployment_id, reached = await _live(system, point)
        wanted = {row["id"] for row in await system.alive(1, seconds=30)}
        if point in ENDING:
            reached = system.order(point, "kill")
        ended_at = time.time()
        await until(lambda: _ended(system, deployment_id), ENDED, "the deployment to end")
        await until(lambda: _is_there(reached), 30, f"a process to be at {point}")
        await system.alive(0, seconds=ENDED)
    except (AssertionError, httpx.HTTPError) as error:
        stuck.append(f"{point}: {error}")
    await forget_failures(system)
    new = [row for row in await system.machines(alive=None) if row["id"] not in before]
    return judged(new, wanted, ended_at, stuck)


async def _live(system: Running, point: Failpoint) -> tuple[str, Path]:
    """A deployment that is ready, and the file that tells that the point was reached."""
    if point in PREPARED:
        endpoint, fault = PREPARED[point]
        await system.fault(endpoint, **fault)
    reached = system.installation.folder.parent / "points" / f"{point.value}.reached"
    if point not in ENDING:
        system.order(point, "kill")
    deployment_id = str((await deployed(system, point))["id"])
    await system.ready(deployment_id, seconds=READY)
    return deployment_id, reached


async def deployed(system: Running, point: Failpoint) -> dict[str, object]:
    """Killed right after its commit, the api cannot answer; what it wrote is found and served all the same."""
    if point not in IN_THE_API:
        return await system.deploy(**ANYTHING)
    before = {each["id"] for each in await until(lambda: _models(system), 30, "the api")}
    try:
        await system.deploy(**ANYTHING)
    except httpx.TransportError:
        pass
    else:
        raise AssertionError("the api answered although it was to be killed")

    async def there() -> dict[str, object] | None:
        return next((row for row in await _models(system) if row["id"] not in before), None)

    return await until(there, 60, "the deploy that was committed")


async def forget_failures(system: Running) -> None:
    """Let an hour pass for the ledger: hosts that failed are shunned for half of one, and a drill would run out."""

    def age() -> None:
        with psycopg.connect(system.addresses["database"].replace("+psycopg", "")) as database:
            database.execute("UPDATE leases SET closed_at = closed_at - interval '1 hour' WHERE state = 'closed'")

    await asyncio.to_thread(age)


async def _models(system: Running) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = (await system.api.get("/models")).json()["models"]
    return rows


async def _ended(system: Running, deployment_id: str) -> bool | None:
    answer = await system.api.delete(f"/models/{deployment_id}")
    if answer.status_code not in (200, 202, 404, 409):
        return None
    return (await system.status(deployment_id))["status"] in ("stopped", "failed") or None


async def _is_there(path: Path) -> bool | None:
    return await asyncio.to_thread(path.exists) or None
