"""Searching offers: ``POST /bundles/``, ``PUT /search/asks/`` and the older ``GET /bundles?q=``."""

import json
from typing import Any

from aiohttp import web

from simulator.market import held_by_host
from simulator.offer_rows import offer_row, search
from simulator.wire.answers import add, answer, cloud_of, fault_of, json_body
from simulator.wire.errors import invalid, refused


def routes(app: web.Application) -> None:
    add(app, "POST", "/api/v0/bundles", search_bundles)
    add(app, "GET", "/api/v0/bundles", search_by_address)
    add(app, "PUT", "/api/v0/search/asks", search_asks)
    add(app, "GET", "/api/v0/gpu_names/unique", gpu_names)


async def search_bundles(request: web.Request) -> web.Response:
    return _found(request, await json_body(request))


async def search_asks(request: web.Request) -> web.Response:
    body = await json_body(request)
    return _found(request, body.get("q") or {}, body.get("select_cols"))


async def search_by_address(request: web.Request) -> web.Response:
    try:
        query = json.loads(request.query.get("q", "{}"))
    except ValueError:
        raise invalid("q is not valid JSON") from None
    return _found(request, query)


def _found(request: web.Request, query: dict[str, Any], columns: list[str] | None = None) -> web.Response:
    if fault_of(request, "empty_list"):
        return answer({"success": True, "offers": []})
    cloud = cloud_of(request)
    bid = query.get("type") in ("bid", "interruptible")
    held = held_by_host(cloud.hosts.values(), cloud.living())
    try:
        gigabytes = float(query.get("allocated_storage") or 5.0)
    except (TypeError, ValueError):
        raise invalid("allocated_storage is not a number") from None
    rows = [
        offer_row(offer, host, held[host.id] + offer.num_gpus <= host.gpus, gigabytes, bid)
        for offer in cloud.offers.values()
        for host in (cloud.hosts[offer.machine_id],)
    ]
    try:
        found = search(rows, query, cloud.settings.toggles.search_cap)
    except (AttributeError, TypeError, ValueError) as problem:  # BadQuery is a ValueError
        raise refused(400, "invalid_request", str(problem)) from None
    if columns and "*" not in columns:
        found = [{name: row.get(name) for name in columns} for row in found]
    return answer({"success": True, "offers": found})


async def gpu_names(request: web.Request) -> web.Response:
    return answer({"gpu_names": sorted({host.gpu_name for host in cloud_of(request).hosts.values()})})
