"""Reading requests and writing answers the way Vast's front does."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from aiohttp import web

from simulator.faults import Fault
from simulator.settings import Settings
from simulator.vast.api.callers import Caller
from simulator.vast.api.errors import invalid, no_such_instance, refused
from simulator.vast.cloud import Cloud
from simulator.vast.instances.lifecycle import Lifecycle
from simulator.vast.market.life import MarketLife
from simulator.vast.records import Contract

CLOUD = web.AppKey("cloud", Cloud)
LIFECYCLE = web.AppKey("lifecycle", Lifecycle)
LIFE = web.AppKey("life", MarketLife)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON with the Content-Type exactly ``application/json``: the official client refuses a charset after it."""
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json", headers=headers)


def add(app: web.Application, method: str, path: str, handler: Handler) -> None:
    """With and without a trailing slash, never a redirect."""
    app.router.add_route(method, path.rstrip("/"), handler)
    app.router.add_route(method, path.rstrip("/") + "/", handler)


def cloud_of(request: web.Request) -> Cloud:
    return request.app[CLOUD]


def lifecycle_of(request: web.Request) -> Lifecycle:
    return request.app[LIFECYCLE]


def caller_of(request: web.Request) -> Caller:
    return cast(Caller, request["caller"])


def settings_of(request: web.Request) -> Settings:
    """What holds for the account that asks."""
    caller: Caller | None = request["caller"]
    return cloud_of(request).settings_of(caller.account.id if caller else None)


def fault_of(request: web.Request, name: str) -> Fault | None:
    """The fault of this name that strikes this request."""
    return next((fault for fault in request.get("faults", ()) if fault.fault == name), None)


async def json_body(request: web.Request) -> dict[str, Any]:
    """The body as an object; an empty body is an empty object. Refuses anything else with 400."""
    raw = await request.read()
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        raise invalid("request body is not valid JSON") from None
    if not isinstance(body, dict):
        raise invalid("request body must be a JSON object")
    return body


def own_contract(request: web.Request) -> Contract:
    """The living contract that the path names, if the caller may touch it. Refuses with 404 or 401."""
    number = number_in(request, "id")
    caller = caller_of(request)
    if caller.instance not in (None, number):
        raise refused(401, "auth_error", f"This key is only good for instance {caller.instance}.")
    contract = cloud_of(request).contracts.get(number)
    if contract is None or not contract.alive or contract.account_id != caller.account.id:
        raise no_such_instance(number)
    return contract


def number_in(request: web.Request, name: str) -> int:
    try:
        return int(request.match_info[name])
    except ValueError:
        raise invalid(f"invalid {name}") from None
