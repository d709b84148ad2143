"""Searching offers: ``POST /bundles/``, ``PUT /search/asks/`` and the older ``GET /bundles?q=``."""

import json
import time
from typing import Any

from aiohttp import web

from simulator.vast.api.errors import invalid, refused
from simulator.vast.api.http import add, answer, cloud_of, fault_of, json_body, settings_of
from simulator.vast.cloud import Cloud
from simulator.vast.market.bidding import standings
from simulator.vast.market.offer_rows import offer_row, search
from simulator.vast.query import Row


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
    found = found_offers(cloud_of(request), query, settings_of(request).toggles.search_cap)
    if columns and "*" not in columns:
        found = [{name: row.get(name) for name in columns} for row in found]
    return answer({"success": True, "offers": found})


def found_offers(cloud: Cloud, query: dict[str, Any], cap: int) -> list[Row]:
    """The offers as the market stands, ``cap`` at most (0: all). Refuses a query that makes no sense with 400."""
    try:
        gigabytes = float(query.get("allocated_storage") or 5.0)
    except (TypeError, ValueError):
        raise invalid("allocated_storage is not a number") from None
    try:
        return search(_rows(cloud, gigabytes, query.get("type")), query, cap)
    except (AttributeError, TypeError, ValueError) as problem:  # BadQuery is a ValueError
        raise refused(400, "invalid_request", str(problem)) from None


def _rows(cloud: Cloud, gigabytes: float, kind: Any) -> list[Row]:
    bid, now = kind in ("bid", "interruptible"), time.time()
    here = standings(cloud.hosts.values(), cloud.living())
    return [
        offer_row(offer, host, here[host.id].fits(offer.num_gpus), gigabytes, here[host.id].needed_bid(offer), bid)
        for offer in cloud.offers.values()
        for host in (cloud.hosts[offer.machine_id],)
        if not host.removed and not host.offline and now < host.end_date
    ]


async def gpu_names(request: web.Request) -> web.Response:
    return answer({"gpu_names": sorted({host.gpu_name for host in cloud_of(request).hosts.values()})})
