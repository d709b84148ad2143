"""What happens to every request before routing: one spelling of its path, and a count when it is done."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.counting import requests_seen

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class OneSlash:
    """`/api/jobs/` is `/api/jobs`, answered directly and never redirected."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].endswith("/") and len(scope["path"]) > 1:
            scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
        await self._app(scope, receive, send)


class CountRequests:
    """Counts every answer by route, method and status, with its time to the first byte."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "unmatched")
                method = scope["method"] if scope["method"] in _METHODS else "other"
                requests_seen.count(method, route, message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, counted)
