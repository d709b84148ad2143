"""The /simulator routes about machines: what no customer of the real thing could do to one."""

import asyncio
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulator.control.accounts import account_in
from simulator.timekeeping import rewrite_keys
from simulator.vast.api.errors import invalid, refused
from simulator.vast.api.http import add, answer, cloud_of, json_body, lifecycle_of, number_in
from simulator.vast.cloud import Cloud
from simulator.vast.instances.contracts import RentBody, checked, new_contract
from simulator.vast.market import hosts
from simulator.vast.market.bidding import standing
from simulator.vast.records import Account, Contract, Offer

MOST_PLANTED = 500


def routes(app: web.Application) -> None:
    add(app, "POST", "/simulator/machines", plant)
    add(app, "PATCH", "/simulator/machines/{id}", change)
    add(app, "POST", "/simulator/machines/{id}/kill", kill)
    add(app, "POST", "/simulator/machines/{id}/restart", restart)
    add(app, "POST", "/simulator/machines/{id}/gpu", set_gpu)
    add(app, "POST", "/simulator/machines/{id}/outbid", outbid)
    add(app, "POST", "/simulator/keys/rewrite", rewrite)


async def plant(request: web.Request) -> web.Response:
    """A machine on an account that nobody asked for over the API: somebody else's, with any label. The body is that of
    a create and ``account_id`` (or ``?account=``), ``offer_id``, ``count``; it counts as no rent request."""
    cloud, raw = cloud_of(request), await json_body(request)
    account = account_in(request) or cloud.accounts.get(raw.get("account_id") or min(cloud.accounts))
    if account is None:
        raise refused(404, "not_found", "no such account")
    wish = checked(cloud.settings_of(account.id).toggles, {"image": "ubuntu:22.04", **raw})
    count = raw.get("count", 1)
    if not isinstance(count, int) or not 0 < count <= MOST_PLANTED:
        raise invalid(f"count is 1 to {MOST_PLANTED}")
    ids = []
    for _ in range(count):
        ids.append(_plant(request, account, wish, raw.get("offer_id")))
        await asyncio.sleep(0)  # let others be answered between two of many
    return answer({"success": True, "id": ids[0], "ids": ids}, 201)


def _plant(request: web.Request, account: Account, wish: RentBody, offer_id: int | None) -> int:
    cloud, lifecycle = cloud_of(request), lifecycle_of(request)
    contract = new_contract(cloud, account, _offer(cloud, wish, offer_id), wish)
    lifecycle.put(contract)
    lifecycle.create(contract)
    return contract.id


def _offer(cloud: Cloud, wish: RentBody, offer_id: int | None) -> Offer:
    offers = [cloud.offers[offer_id]] if offer_id in cloud.offers else list(cloud.offers.values())
    for offer in offers:
        here = standing(cloud.hosts[offer.machine_id], cloud.living())
        if wish.target_state == "stopped" or here.fits(offer.num_gpus):
            return offer
    raise refused(409, "no_such_ask", "no offer is free")


def living(request: web.Request) -> Contract:
    contract = cloud_of(request).contracts.get(number_in(request, "id"))
    if contract is None or not contract.alive:
        raise refused(404, "not_found", "no such machine alive")
    return contract


async def change(request: web.Request) -> web.Response:
    """``shown_as`` replaces fields of its row on the wire ({} ends it); ``label`` is the true label."""
    contract, body = living(request), await json_body(request)
    shown = body.get("shown_as", contract.shown_as)
    if not isinstance(shown, dict):
        raise invalid("shown_as must be an object")
    lifecycle_of(request).put(contract, shown_as=shown, label=body.get("label", contract.label))
    return answer({"success": True})


async def kill(request: web.Request) -> web.Response:
    await lifecycle_of(request).end(living(request), "killed")
    return answer({"success": True})


async def restart(request: web.Request) -> web.Response:
    """The host restarts the container without a word to anybody."""
    contract = living(request)
    if contract.actual_status != "running":
        raise invalid("the machine is not running")
    lifecycle_of(request).reboot(contract)
    return answer({"success": True})


class GpuLoad(BaseModel):
    model_config = ConfigDict(extra="forbid")

    utilization: float | None = Field(default=None, ge=0, le=100)
    memory_used_mb: int | None = Field(default=None, ge=0)


async def set_gpu(request: web.Request) -> web.Response:
    contract, cloud = living(request), cloud_of(request)
    try:
        load = GpuLoad.model_validate(await json_body(request))
    except ValidationError as problem:
        raise invalid(str(problem)) from None
    util = contract.gpu_util if load.utilization is None else load.utilization
    memory = contract.gpu_memory_used if load.memory_used_mb is None else load.memory_used_mb
    lifecycle_of(request).put(contract, gpu_util=util, gpu_memory_used=memory)
    machine = cloud.fleet.known(contract.id)
    if machine:
        machine.set_gpu(util, memory)
    return answer({"success": True, "utilization": util, "memory_used_mb": memory})


async def outbid(request: web.Request) -> web.Response:
    """Other customers bid a cent a GPU and hour more than this interruptible machine, for all GPUs of its host."""
    cloud, contract = cloud_of(request), living(request)
    if not contract.is_bid:
        raise invalid("this machine is rented on demand: nobody outbids it")
    host = cloud.hosts[contract.machine_id]
    price: Any = (await json_body(request)).get("price", contract.dph_base / contract.num_gpus + 0.01)
    host.rivals += [float(price)] * host.gpus
    hosts.change(cloud, lifecycle_of(request), host)
    return answer({"success": True, "rivals": host.rivals})


async def rewrite(request: web.Request) -> web.Response:
    """The platform writes every machine's authorized_keys anew, now (or those of one account's machines)."""
    rewrite_keys(cloud_of(request), account_in(request))
    return answer({"success": True})
