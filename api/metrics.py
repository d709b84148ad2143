"""`/metrics` for Prometheus, with the operator's token; without one configured it does not exist."""

import hmac

from fastapi import APIRouter, Request, Response
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from api.deps import App, Session
from api.errors import NotFound, Unauthorized
from db.endpoints.tables import Deployment
from db.instances.tables import Instance
from db.machines.tables import Lease

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

router = APIRouter(tags=["operations"])

disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the number of series


class ApiMetrics:
    """What one app reports. Each app has a registry of its own, so that several can live in one process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        route = ["method", "route"]
        self._requests = Counter(
            "dumont_api_requests", "Answers by route and status.", [*route, "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "dumont_api_request_seconds",
            "From a request to the first byte of its answer.",
            route,
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._rows: dict[Gauge, InstrumentedAttribute[str]] = {
            self._gauge("dumont_instances", "Instances by status.", "status"): Instance.status,
            self._gauge("dumont_leases", "Leases by state.", "state"): Lease.state,
            self._gauge("dumont_deployments", "Deployments by status.", "status"): Deployment.status,
        }
        ProcessCollector(registry=self.registry)

    def _gauge(self, name: str, documentation: str, label: str) -> Gauge:
        return Gauge(name, documentation, [label], registry=self.registry)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answer was sent."""
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    async def count_rows(self, session: AsyncSession) -> None:
        """Bring the gauges to what the database has now."""
        for gauge, column in self._rows.items():
            rows = (await session.execute(select(column, func.count()).group_by(column))).all()
            gauge.clear()
            for value, count in rows:
                gauge.labels(value).set(count)


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request, app: App, session: Session) -> Response:
    token = app.settings.metrics_token
    if token is None:
        raise NotFound("page")
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
        raise Unauthorized("/metrics takes the operator's token (DUMONT_METRICS_TOKEN).")
    reported: ApiMetrics = request.app.state.metrics
    await reported.count_rows(session)
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(reported.registry), headers={"Content-Type": content_type})
