"""`/metrics` for Prometheus, with the operator's token; without one configured it does not exist."""

import hmac
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.counting import requests_seen
from api.deps import App, Session
from api.errors import NotFound, Unauthorized
from db.endpoints.tables import Deployment
from db.instances.tables import Instance
from db.machines.tables import Lease

router = APIRouter(tags=["operations"])


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request, app: App, session: Session) -> PlainTextResponse:
    token = app.settings.metrics_token
    if token is None:
        raise NotFound("page")
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
        raise Unauthorized("/metrics takes the operator's token (DUMONT_METRICS_TOKEN).")
    lines = [
        *await _counted(session, "dumont_instances", "status", Instance.status),
        *await _counted(session, "dumont_leases", "state", Lease.state),
        *await _counted(session, "dumont_deployments", "status", Deployment.status),
        *requests_seen.lines(),
    ]
    return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")


async def _counted(session: AsyncSession, name: str, label: str, column: Any) -> list[str]:
    rows = await session.execute(select(column, func.count()).group_by(column))
    return [f"# TYPE {name} gauge", *(f'{name}{{{label}="{value}"}} {count}' for value, count in rows)]
