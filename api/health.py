"""Whether everything that a request may need is there. All parts are asked at once, with a few seconds to answer."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any, Literal

from fastapi import APIRouter, Response
from sqlalchemy import text

from api import SERVICE, VERSION
from api.app_state import TEMPORAL_DOWN, AppState
from api.deps import App
from api.errors import RETRY_SECONDS, Down
from api.schemas import Answer
from db.process_heartbeats import is_alive

DEADLINE_SECONDS = 3.0
PATIENCE_SECONDS = 10.0
"""Who wants something done waits longer for a busy engine than who asks how it is."""

Part = Literal["ok", "down"]

router = APIRouter(tags=["operations"])


class Checks(Answer):
    database: Part
    temporal: Part
    worker: Part
    gateway: Part


class HealthAnswer(Answer):
    """`simulated`: the cloud behind this installation is the simulator."""

    status: Literal["healthy", "degraded"]
    version: str = VERSION
    service: str = SERVICE
    simulated: bool
    checks: Checks


class LiveAnswer(Answer):
    status: str = "alive"


@router.get("/health/live", summary="Is this process alive")
async def live() -> LiveAnswer:
    return LiveAnswer()


_DEGRADED: dict[int | str, dict[str, Any]] = {503: {"model": HealthAnswer, "description": "Degraded."}}


@router.get("/health", summary="Is everything there", responses=_DEGRADED)
async def health(app: App, response: Response) -> HealthAnswer:
    asked = _database(app), _temporal(app), _worker(app), _gateway(app)
    database, temporal, worker, gateway = await asyncio.gather(*map(_part, asked))
    checks = Checks(database=database, temporal=temporal, worker=worker, gateway=gateway)
    healthy = set(checks.model_dump().values()) == {"ok"}
    if not healthy:
        response.status_code, response.headers["Retry-After"] = 503, str(RETRY_SECONDS)
    return HealthAnswer(status="healthy" if healthy else "degraded", simulated=app.settings.simulated, checks=checks)


async def _part(asked: Awaitable[bool]) -> Part:
    """Run one check with a deadline. Any error means `down`."""
    asking = asyncio.ensure_future(asked)
    asking.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait({asking}, timeout=DEADLINE_SECONDS)
    if not asking.done():
        asking.cancel()
        return "down"
    return "ok" if asking.exception() is None and asking.result() else "down"


async def _database(app: AppState) -> bool:
    """The database answers and has the first rows, without which nobody can log in."""
    async with app.database.begin() as session:
        return bool(await session.scalar(text("SELECT 1"))) and app.prepared.is_set()


async def _temporal(app: AppState) -> bool:
    return await app.temporal.service_client.check_health(timeout=timedelta(seconds=DEADLINE_SECONDS))


async def _worker(app: AppState) -> bool:
    async with app.database.begin() as session:
        return await is_alive(session, "worker")


async def _gateway(app: AppState) -> bool:
    answer = await app.http.get(app.settings.gateway_health, timeout=DEADLINE_SECONDS)
    return answer.is_success


async def require_temporal(app: AppState) -> None:
    """Check that Temporal answers, before rows are written that need a workflow.

    Raises:
        Down: no answer; nothing was written.
    """
    try:
        await app.temporal.service_client.check_health(timeout=timedelta(seconds=PATIENCE_SECONDS))
    except TEMPORAL_DOWN as error:
        raise Down("temporal_unavailable", "The workflow engine does not answer. Nothing was done.") from error
