"""`GET /e/<path>/health`: does the model answer? Asked of the machine at most once a second, however many ask us."""

import asyncio
import time

from aiohttp import web

from gateway.http.errors import HttpRefusal
from gateway.http.readiness import Serving, ready
from gateway.http.upstream import RETRY_SECONDS, Upstream
from gateway.routes import Route

REMEMBERED_SECONDS = 1.0
CHECK_SECONDS = 5.0


class Health:
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._known: dict[str, tuple[bool, float]] = {}
        self._checks: dict[str, asyncio.Task[bool]] = {}

    async def answer(self, route: Route) -> web.Response:
        """200 `healthy`; 503 `starting` or `unhealthy` with the time to ask again."""
        try:
            serving = await ready(route)
        except HttpRefusal as refusal:
            return _answer(route, refusal.code, refusal.headers())
        if await self._is_healthy(serving):
            return _answer(route, "healthy", {})
        return _answer(route, "unhealthy", {"Retry-After": f"{RETRY_SECONDS:.0f}"})

    def keep_only(self, endpoint_ids: set[str]) -> None:
        """Forget closed endpoints."""
        self._known = {key: known for key, known in self._known.items() if key in endpoint_ids}

    async def _is_healthy(self, serving: Serving) -> bool:
        key = serving.route.id
        healthy, until = self._known.get(key, (False, 0.0))
        if until > time.monotonic():
            return healthy
        if key not in self._checks:
            self._checks[key] = asyncio.create_task(self._check(serving), name=f"health-{key}")
        return await asyncio.shield(self._checks[key])

    async def _check(self, serving: Serving) -> bool:
        key = serving.route.id
        try:
            healthy = await self._upstream.is_healthy(serving, seconds=CHECK_SECONDS)
            self._known[key] = (healthy, time.monotonic() + REMEMBERED_SECONDS)
            return healthy
        finally:
            del self._checks[key]


def _answer(route: Route, status: str, headers: dict[str, str]) -> web.Response:
    body = {"status": status, "model": route.model_id, "model_type": route.model_type}
    return web.json_response(body, status=200 if status == "healthy" else 503, headers=headers)
