"""`/e/<path>/…`: from a caller's request to the endpoint's own health, or to its model server."""

import re

from aiohttp import web

from domain.endpoints.runtimes import runtime_of
from gateway.http.access import Access
from gateway.http.errors import Code, HttpRefusal
from gateway.http.health import Health
from gateway.http.meters import Meters
from gateway.http.readiness import ready, serving
from gateway.http.relay import relay
from gateway.http.upstream import Upstream
from gateway.route_feed import DATABASE_ERRORS, RouteFeed, TooManyLookUps
from gateway.routes import Route

_PATH = re.compile(r"[A-Za-z0-9_-]{1,128}")
_NO_ENDPOINT = "There is no such endpoint."


class Endpoints:
    """The handler of every request to an endpoint."""

    def __init__(self, feed: RouteFeed, access: Access, upstream: Upstream, health: Health, meters: Meters) -> None:
        self._feed = feed
        self._access = access
        self._upstream = upstream
        self._health = health
        self._meters = meters

    async def handle(self, request: web.Request) -> web.StreamResponse:
        tail = request.match_info.get("tail", "").rstrip("/")
        route = await self._route(request.match_info["path"])
        if request.method == "OPTIONS":  # a browser's preflight carries no credential
            return web.Response(status=204)
        await self._access.admit(route, request.headers.get("Authorization"), request.remote or "")
        if serving(route) is None:
            route = await self._feed.look_again(route)
        if tail == "health" and request.method == "GET":
            return await self._health.answer(route)
        path = runtime_of(route.model_type).upstream_path(request.method, tail)
        if path is None:
            raise _no_such_route(route, tail)
        return await self._serve(request, route, path)

    async def _serve(self, request: web.Request, route: Route, path: str) -> web.StreamResponse:
        with self._meters.measuring(route.id) as passage:
            response = await relay(request, await ready(route), path, self._upstream)
            passage.status = response.status
            return response

    async def _route(self, path: str) -> Route:
        if not _PATH.fullmatch(path):
            raise HttpRefusal(404, Code.NOT_FOUND, _NO_ENDPOINT)
        try:
            route = await self._feed.find(path)
        except (*DATABASE_ERRORS, TooManyLookUps) as error:
            raise HttpRefusal(
                503, Code.UNAVAILABLE, "Endpoints cannot be looked up right now.", retry_after=2
            ) from error
        if route is None:
            raise HttpRefusal(404, Code.NOT_FOUND, _NO_ENDPOINT)
        return route


def _no_such_route(route: Route, tail: str) -> HttpRefusal:
    known = ["GET"] if tail == "health" else runtime_of(route.model_type).methods_of(tail)
    if known:
        return HttpRefusal(405, Code.METHOD_NOT_ALLOWED, f"This path takes {' or '.join(known)}.")
    return HttpRefusal(404, Code.NOT_FOUND, f"A model of type {route.model_type} has no such route.")
