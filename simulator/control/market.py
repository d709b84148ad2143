"""The /simulator routes about hosts and offers: the market's moves, made by hand."""

from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulator.vast.api.errors import invalid, refused
from simulator.vast.api.http import LIFE, add, answer, cloud_of, json_body, lifecycle_of, number_in
from simulator.vast.cloud import Cloud
from simulator.vast.market import hosts
from simulator.vast.market.bidding import standings
from simulator.vast.records import Host


def routes(app: web.Application) -> None:
    add(app, "GET", "/simulator/hosts", show_hosts)
    add(app, "PATCH", "/simulator/hosts/{id}", change_host)
    add(app, "DELETE", "/simulator/hosts/{id}", remove_host)
    add(app, "POST", "/simulator/hosts/{id}/taken", set_taken)
    add(app, "PATCH", "/simulator/offers/{id}", change_offer)
    add(app, "POST", "/simulator/market/advance", advance)


class HostChange(BaseModel):
    """What can be changed on a host; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    taken: int | None = Field(default=None, ge=0)
    """GPUs that other customers hold on demand"""
    rivals: list[float] | None = None
    """other customers' bids, $ per GPU and hour"""
    offline: bool | None = None
    end_date: float | None = None
    """epoch seconds"""
    reliability: float | None = Field(default=None, ge=0, le=1)


class OfferChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    dph_base: float | None = Field(default=None, gt=0)
    min_bid: float | None = Field(default=None, gt=0)


def _host(request: web.Request) -> Host:
    host = cloud_of(request).hosts.get(number_in(request, "id"))
    if host is None or host.removed:
        raise refused(404, "not_found", "no such host (give a machine_id)")
    return host


async def show_hosts(request: web.Request) -> web.Response:
    return answer({"hosts": host_rows(cloud_of(request)), "market_hours": request.app[LIFE].hours})


def host_rows(cloud: Cloud) -> list[dict[str, Any]]:
    """Every host that is there, with its free GPUs and its lowest price for one."""
    here = standings(cloud.hosts.values(), cloud.living())
    prices: dict[int, list[float]] = {}
    for offer in cloud.offers.values():
        prices.setdefault(offer.machine_id, []).append(offer.dph_base / offer.num_gpus)
    return [
        _row(host, host.gpus - here[host.id].firm(), prices.get(host.id, []))
        for host in cloud.hosts.values()
        if not host.removed
    ]


def _row(host: Host, free: int, prices: list[float]) -> dict[str, Any]:
    return {
        "id": host.id, "gpu_name": host.gpu_name, "gpus": host.gpus, "free": max(0, free), "offline": host.offline,
        "taken": host.taken + host.visitors, "rivals": host.rivals, "geolocation": host.geolocation,
        "price": min(prices, default=None), "reliability": host.reliability, "end_date": host.end_date,
    }  # fmt: skip


async def change_host(request: web.Request) -> web.Response:
    host = _host(request)
    try:
        wish = HostChange.model_validate(await json_body(request))
    except ValidationError as problem:
        raise invalid(str(problem)) from None
    for name, value in wish.model_dump(exclude_none=True).items():
        setattr(host, name, value)
    hosts.change(cloud_of(request), lifecycle_of(request), host)
    await hosts.keep_end_dates(cloud_of(request), lifecycle_of(request))
    return answer({"success": True, **host.model_dump()})


async def remove_host(request: web.Request) -> web.Response:
    await hosts.remove(cloud_of(request), lifecycle_of(request), _host(request))
    return answer({"success": True})


async def set_taken(request: web.Request) -> web.Response:
    """Other customers hold so many GPUs of a host: its offers go, and what is stopped there cannot start."""
    host, body = _host(request), await json_body(request)
    host.taken = int(body.get("gpus", host.gpus))
    hosts.change(cloud_of(request), lifecycle_of(request), host)
    return answer({"success": True, "taken": host.taken})


async def change_offer(request: web.Request) -> web.Response:
    """Another price; what is rented keeps its own."""
    cloud = cloud_of(request)
    offer = cloud.offers.get(number_in(request, "id"))
    if offer is None:
        raise refused(404, "not_found", "no such offer")
    try:
        wish = OfferChange.model_validate(await json_body(request))
    except ValidationError as problem:
        raise invalid(str(problem)) from None
    for name, value in wish.model_dump(exclude_none=True).items():
        setattr(offer, name, value)
    cloud.store.save("offers", offer.id, offer)
    return answer({"success": True, **offer.model_dump()})


async def advance(request: web.Request) -> web.Response:
    """Let hours of the market pass at once, whatever its ``rate``."""
    hours = (await json_body(request)).get("hours", 1)
    if not isinstance(hours, int | float) or not 0 < hours <= 1000:
        raise invalid("hours is a number up to 1000")
    life = request.app[LIFE]
    count = await life.advance(float(hours))
    return answer({"success": True, "happened": count, "market_hours": life.hours})
