"""The terms of a rented machine: its bid, what is paid ahead, and what it is made from."""

import time
from typing import Any

from aiohttp import web

from simulator.vast.api.errors import ErrorAnswer, invalid, refused
from simulator.vast.api.http import add, answer, caller_of, cloud_of, json_body, lifecycle_of, own_contract, settings_of
from simulator.vast.instances.contracts import check_price
from simulator.vast.market import hosts
from simulator.vast.market.bidding import standing
from simulator.vast.records import Contract

MONTH_HOURS = 730.0


def routes(app: web.Application) -> None:
    add(app, "PUT", "/api/v0/instances/bid_price/{id}", change_bid)
    add(app, "PUT", "/api/v0/instances/prepay/{id}", prepay)
    add(app, "GET", "/api/v0/instances/balance/{id}", deposit)
    add(app, "PUT", "/api/v0/instances/update_template/{id}", update)
    add(app, "POST", "/api/v0/contracts/fetch", fetch)


async def change_bid(request: web.Request) -> web.Response:
    """Without a price: one that wins."""
    contract, price = own_contract(request), (await json_body(request)).get("price")
    cloud, lifecycle = cloud_of(request), lifecycle_of(request)
    if not contract.is_bid:
        raise invalid("This instance is not interruptible.")
    host = cloud.hosts[contract.machine_id]
    if price is None:
        price = standing(host, cloud.living()).needed_bid(cloud.offers[contract.offer_id], but=contract.id)
    if not isinstance(price, int | float) or price <= 0:
        raise invalid("Please set a bid price >= 0.001.")
    check_price(settings_of(request).toggles, price)
    contract.reprice(float(price), time.time())
    lifecycle.put(contract)
    hosts.settle(cloud, lifecycle, host)
    return answer({"success": True})


async def prepay(request: web.Request) -> web.Response:
    """Credit becomes a reservation: 20 % off for a month, 30 % from three (the official CLI's help). On demand only."""
    contract, body = own_contract(request), await json_body(request)
    amount = body.get("amount")
    if not isinstance(amount, int | float) or amount <= 0:
        raise invalid("invalid amount")
    if contract.is_bid:
        raise ErrorAnswer(411, {"success": False, "error": "not_eligible", "msg": "Interruptible: cannot be reserved."})
    cloud, now = cloud_of(request), time.time()
    if amount > cloud.credit(caller_of(request).account):
        raise refused(400, "insufficient_credit", "Your account has not that much credit.")
    deposit = contract.deposit(now, settings_of(request).money_rate) + float(amount)
    full = contract.full_price or contract.dph_base
    months = deposit / (full * MONTH_HOURS)
    contract.reprice(full * (1 - _discount(months)), now)
    lifecycle_of(request).put(contract, prepaid=deposit, prepaid_from=contract.cost(now), full_price=full)
    return answer({"success": True, "timescale": months, "discount_rate": _discount(months)})


def _discount(months: float) -> float:
    return 0.3 if months >= 3 else 0.2 * min(1.0, months)


async def deposit(request: web.Request) -> web.Response:
    contract = own_contract(request)
    left = contract.deposit(time.time(), settings_of(request).money_rate)
    return answer({"success": True, "id": contract.id, "balance": left, "deposit": contract.prepaid})


async def update(request: web.Request) -> web.Response:
    """Another image, environment or start script: the container is made anew."""
    contract, body = own_contract(request), await json_body(request)
    if body.get("template_id") or body.get("template_hash_id"):
        raise refused(404, "no_such_template", "Template not found.")
    changes = _changes(body)
    lifecycle_of(request).put(contract, **changes)
    if contract.intended_status == "running":
        lifecycle_of(request).reboot(contract, wipe=True)
    return answer({"success": True, "updated_instance": {"id": contract.id, "image": contract.image}})


def _changes(body: dict[str, Any]) -> dict[str, Any]:
    env, args = body.get("env"), body.get("args")
    if env is not None and not isinstance(env, dict):
        raise invalid("invalid env type: env must be a dict")
    wanted = {
        "image": body.get("image"), "onstart": body.get("onstart"),
        "env": None if env is None else {str(k): str(v) for k, v in env.items()},
        "args": [args] if isinstance(args, str) else args,
    }  # fmt: skip
    return {name: value for name, value in wanted.items() if value is not None}


async def fetch(request: web.Request) -> web.Response:
    """The account's contracts by label or by ids."""
    body, account = await json_body(request), caller_of(request).account
    ids, label = body.get("contract_ids"), body.get("label")

    def wanted(contract: Contract) -> bool:
        return (label is None or contract.label == label) and (ids is None or contract.id in ids)

    found = [c for c in cloud_of(request).listed(account) if wanted(c)]
    return answer({"success": True, "contracts": [{"id": c.id, "label": c.label} for c in found]})
