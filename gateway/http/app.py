"""The HTTP server: what all answers have in common, and the gateway's own few routes."""

import hmac
import logging
import re
import secrets

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from gateway.http.endpoints import Endpoints
from gateway.http.errors import REQUEST_ID, Code, HttpRefusal, refused
from gateway.routes import RouteTable
from settings import Settings

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LOOPBACK = ("127.0.0.1", "::1")
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "X-Request-Id, Retry-After",
}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "*, Authorization",
    "Access-Control-Max-Age": "86400",
}

log = logging.getLogger(__name__)


def make_app(
    settings: Settings, endpoints: Endpoints, table: RouteTable, registry: CollectorRegistry
) -> web.Application:
    async def health(_: web.Request) -> web.Response:
        body = {
            "status": "healthy" if table.loaded else "starting",
            "routes": len(table),
            "gateway": settings.gateway_name,
        }
        return web.json_response(body, status=200 if table.loaded else 503)

    async def metrics(request: web.Request) -> web.Response:
        if not _may_read_metrics(request, settings):
            raise HttpRefusal(404, Code.NOT_FOUND, "There is nothing here.")
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    app = web.Application(middlewares=[_answered])
    app.router.add_get("/health", health)
    app.router.add_get("/metrics", metrics)
    app.router.add_route("*", "/e/{path}", endpoints.handle)
    app.router.add_route("*", "/e/{path}/{tail:.*}", endpoints.handle)
    app.on_response_prepare.append(_common_headers)
    return app


@web.middleware
async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every request gets an id, and every failure an answer in the caller's shape and without our insides."""
    given = request.headers.get("X-Request-Id", "")
    request[REQUEST_ID] = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    openai = "/v1/" in request.path
    try:
        return await handler(request)
    except HttpRefusal as refusal:
        return refused(refusal, openai=openai)
    except web.HTTPException as error:
        code = Code.METHOD_NOT_ALLOWED if error.status == 405 else Code.NOT_FOUND
        return refused(HttpRefusal(error.status, code, error.reason), openai=openai)
    except ConnectionResetError:  # the caller is gone; there is nobody to answer
        raise
    except Exception:
        log.exception("request %s failed", request[REQUEST_ID])
        return refused(HttpRefusal(500, Code.INTERNAL, "The gateway failed; this was logged."), openai=openai)


async def _common_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["X-Request-Id"] = request[REQUEST_ID]
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Server"] = "dumont"
    if request.path.startswith("/e/"):
        response.headers.update(_CORS)
        if request.method == "OPTIONS":
            response.headers.update(_PREFLIGHT)


def _may_read_metrics(request: web.Request, settings: Settings) -> bool:
    """The operator's token; without one set, only a caller on this host that no proxy stands in front of."""
    if settings.metrics_token is not None:
        given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
        expected = f"Bearer {settings.metrics_token.get_secret_value()}"
        return hmac.compare_digest(given, expected.encode())
    return request.remote in _LOOPBACK and "X-Forwarded-For" not in request.headers
