"""What stands before every route: the request log, faults, authentication, rate limits, errors as Vast writes them."""

import asyncio
import email.utils
import logging
import time
from typing import Any

from aiohttp import web

from simulator.faults import Fault
from simulator.vast.api.callers import identify, key_in
from simulator.vast.api.errors import ErrorAnswer, bad_key, bad_key_answer, lacks_scope, refused, too_frequent
from simulator.vast.api.http import Handler, answer, cloud_of
from simulator.vast.api.permissions import lacking

logger = logging.getLogger(__name__)
OPEN = ("/simulator", "/page/", "/health", "/uploads/", "/api/v0/gpu_names/unique")
SEARCHES = ("/api/v0/bundles", "/api/v0/search/asks")
# Searching needs no key on the live service (gpuhunt sends none).
PUBLIC = (*OPEN, *SEARCHES)
LATE: set[asyncio.Task[None]] = set()
"""requests that are done after their connection was cut"""


@web.middleware
async def log_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every request to the API with its arrival time; status 0 means that the connection was dropped."""
    if not request.path.startswith("/api/"):
        return await handler(request)
    cloud, caller = cloud_of(request), identify(cloud_of(request), key_in(request))
    account = request["account"] = caller.account.id if caller else None
    entry: dict[str, Any] = {"time": time.time(), "method": request.method, "path": request.path_qs, "status": 0,
                             "account": account}  # fmt: skip
    cloud.requests.append(entry)
    response = await handler(request)
    skewed = time.time() + cloud.settings_of(account).clock_skew
    response.headers["Date"] = email.utils.formatdate(skewed, usegmt=True)
    entry["status"] = 0 if request.transport is None or request.transport.is_closing() else response.status
    entry["faults"] = [fault.fault for fault in request.get("faults", ())]
    return response


@web.middleware
async def strike(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Faults around the route: some before it does anything, some after it has done it."""
    if not request.path.startswith("/api/"):
        return await handler(request)
    text = f"{request.path_qs}\n{(await request.read()).decode(errors='replace')}"
    faults, account = cloud_of(request).faults, request["account"]
    struck = request["faults"] = faults.fire(request.method, request.path, text, account)
    for fault in struck:
        if fault.fault in ("late_commit", "done_later"):
            _do_later(fault, handler, request)
        early = await _before(request, fault)
        if early is not None:
            return early
    response = await handler(request)
    for fault in struck:
        response = await _after(request, fault, response)
    return response


async def _before(request: web.Request, fault: Fault) -> web.Response | None:
    if fault.fault in ("drop_before_commit", "late_commit"):
        return _drop(request)
    if fault.fault == "delay":
        await fault.wait()
    if fault.fault == "status":
        return _written(fault, fault.status)
    if fault.fault in ("ignored", "done_later"):
        return answer({"success": True})
    if fault.fault == "bad_key":
        return answer(*bad_key_answer(cloud_of(request).settings_of(request["account"]).toggles))
    return None


def _do_later(fault: Fault, handler: Handler, request: web.Request) -> None:
    """What was asked happens, but only when the asker has long been cut off."""

    async def wait_and_do() -> None:
        await fault.wait()
        await handler(request)

    task = asyncio.create_task(wait_and_do())
    LATE.add(task)
    task.add_done_callback(LATE.discard)


async def _after(request: web.Request, fault: Fault, response: web.StreamResponse) -> web.StreamResponse:
    if fault.fault == "drop_after_commit":
        return _drop(request)
    if fault.fault == "delay_after_commit":
        await fault.wait()
    if fault.fault == "status_after_commit":
        return _written(fault, fault.status)
    if fault.fault == "stale":
        return _stale(request, fault, response)
    return _spoilt(fault, response)


def _spoilt(fault: Fault, response: web.StreamResponse) -> web.StreamResponse:
    if fault.fault == "garbage":
        return web.Response(body=b'{"success": true, "instances": [{"id": 27', content_type="application/json")
    if fault.fault == "empty_body":
        return web.Response(body=b"", content_type="application/json")
    if fault.fault == "success_false":
        return answer({"success": False, "error": "internal_error", "msg": "Something went wrong."})
    if fault.fault == "wrong_content_type" and isinstance(response, web.Response):
        return web.Response(body=response.body, status=response.status, content_type="text/html")
    return response


def _stale(request: web.Request, fault: Fault, response: web.StreamResponse) -> web.StreamResponse:
    """The first answer to each address, again and again while the fault is set."""
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return response
    status, body = fault.seen.setdefault(request.path_qs, (response.status, response.body))
    return web.Response(body=body, status=status, content_type="application/json")


def _drop(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _written(fault: Fault, status: int) -> web.Response:
    if not isinstance(fault.body, str):
        return answer(fault.body, status, fault.headers)
    kind = "text/html" if fault.body.lstrip().startswith("<") else "text/plain"
    return web.Response(text=fault.body, status=status, content_type=kind, headers=fault.headers)


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ErrorAnswer as problem:
        if isinstance(problem.body, str):
            return web.Response(text=problem.body, status=problem.status, headers=problem.headers)
        return answer(problem.body, problem.status, problem.headers)
    except web.HTTPNotFound:
        logger.warning("the simulator does not know %s %s", request.method, request.path_qs)
        return answer({"success": False, "error": "not_found", "msg": f"no route {request.path} (simulator)"}, 404)
    except web.HTTPMethodNotAllowed:
        logger.warning("the simulator does not know %s %s", request.method, request.path_qs)
        return answer({"success": False, "error": "method_not_allowed", "msg": request.method}, 405)


@web.middleware
async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Who asks, and may they ask again so soon?"""
    if request.path.startswith(OPEN) or request.path == "/":
        if _from_elsewhere(request):
            raise refused(403, "forbidden", "Control routes do not answer to other web sites.")
        return await handler(request)
    cloud = cloud_of(request)
    key = key_in(request)
    caller = identify(cloud, key)
    if caller is None and not (request.path.startswith(PUBLIC) and not key):
        raise bad_key(cloud.settings.toggles)
    request["caller"] = caller
    account = caller.account.id if caller else None
    settings, limiter = cloud.settings_of(account), cloud.limiters[account]
    scale = settings.rate_limit_scale
    threshold = limiter.refuse(request.method, request.path, f"{key}@{request.remote}", scale)
    if threshold is not None:
        raise too_frequent(settings.toggles, threshold, request.path.startswith(SEARCHES))
    if caller and caller.instance and not _allowed_to_machines(request):
        raise refused(401, "auth_error", "This key is only good for its own instance.")
    if caller and (endpoint := lacking(caller.permissions, request.method, request.path)):
        raise lacks_scope(settings.toggles, endpoint)
    return await handler(request)


def _from_elsewhere(request: web.Request) -> bool:
    """Does some other site's page, open in a browser on this computer, ask the routes that need no key?"""
    origin = request.headers.get("Origin")
    return origin is not None and origin != f"{request.scheme}://{request.host}"


def _allowed_to_machines(request: web.Request) -> bool:
    """A machine's own key may show, stop, start and destroy that machine; ``own_contract`` checks which."""
    parts = request.path.rstrip("/").split("/")
    return parts[:4] == ["", "api", "v0", "instances"] and len(parts) == 5
