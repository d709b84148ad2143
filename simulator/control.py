"""The /simulator routes: faults, the truth, and what no customer of the real thing could do. No key, loopback only."""

import time
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from simulator.cloud import FIRST_CREDIT, Cloud
from simulator.faults import Fault
from simulator.limits import Limiter
from simulator.records import Contract, Payment
from simulator.settings import Settings
from simulator.wire.answers import LIFE, add, answer, cloud_of, json_body, lifecycle_of, number_in
from simulator.wire.errors import invalid, refused


def routes(app: web.Application) -> None:
    add(app, "GET", "/health", health)
    add(app, "GET", "/simulator/info", info)
    add(app, "PATCH", "/simulator/settings", change_settings)
    add(app, "POST", "/simulator/faults", add_fault)
    add(app, "GET", "/simulator/faults", show_faults)
    add(app, "DELETE", "/simulator/faults", clear_faults)
    add(app, "DELETE", "/simulator/faults/{id}", remove_fault)
    add(app, "GET", "/simulator/books", books)
    add(app, "GET", "/simulator/requests", requests)
    add(app, "POST", "/simulator/accounts", add_account)
    add(app, "PATCH", "/simulator/accounts/{id}", change_account)
    add(app, "POST", "/simulator/reset", reset)


async def health(request: web.Request) -> web.Response:
    return answer({"status": "ok", "simulated": True})


async def info(request: web.Request) -> web.Response:
    cloud = cloud_of(request)
    accounts = [{"id": a.id, "username": a.username, "credit": cloud.credit(a)} for a in cloud.accounts.values()]
    return answer({
        "simulated": True, "clouds": ["vast"], "speed": cloud.speed, "seed": cloud.seed,
        "machines": "namespaces" if cloud.fleet.namespaces else "folders (no namespaces here: no isolation)",
        "settings": cloud.settings.model_dump(), "offers": len(cloud.offers), "accounts": accounts,
        "alive": len(cloud.living()),
    })  # fmt: skip


async def change_settings(request: web.Request) -> web.Response:
    """Merge into the settings, at any depth: ``{"clocks": {"sshd": 5}, "rate_limit_scale": 1}``."""
    cloud = cloud_of(request)
    merged = _merge(cloud.settings.model_dump(), await json_body(request))
    try:
        cloud.settings = Settings.model_validate(merged)
    except ValidationError as problem:
        raise invalid(str(problem)) from None
    for machine in cloud.fleet.all():
        machine.open_ways_out(cloud.settings.way_out)
    return answer(cloud.settings.model_dump())


def _merge(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    both = {name: _merge(old[name], value) if isinstance(value, dict) and isinstance(old.get(name), dict) else value
            for name, value in new.items()}  # fmt: skip
    return {**old, **both}


async def add_fault(request: web.Request) -> web.Response:
    try:
        fault = Fault.model_validate(await json_body(request))
    except ValidationError as problem:
        raise invalid(str(problem)) from None
    return answer({"id": cloud_of(request).faults.add(fault).id}, 201)


async def show_faults(request: web.Request) -> web.Response:
    return answer({"faults": [fault.model_dump() for fault in cloud_of(request).faults.all()]})


async def clear_faults(request: web.Request) -> web.Response:
    cloud_of(request).faults.clear()
    return answer({"success": True})


async def remove_fault(request: web.Request) -> web.Response:
    if not cloud_of(request).faults.remove(number_in(request, "id")):
        raise refused(404, "not_found", "no such fault")
    return answer({"success": True})


async def books(request: web.Request) -> web.Response:
    """The truth about every machine that ever was, whatever the API says of it."""
    cloud = cloud_of(request)
    rows = book_rows(cloud)
    alive = sum(1 for row in rows if row["alive"])
    return answer({"machines": rows, "alive": alive, "rent_requests": cloud.rent_requests})


def book_rows(cloud: Cloud) -> list[dict[str, Any]]:
    now = time.time()
    return [_book(cloud, contract, now) for contract in cloud.contracts.values()]


def _book(cloud: Cloud, contract: Contract, now: float) -> dict[str, Any]:
    return {
        "id": contract.id, "cloud": "vast", "label": contract.label, "gpu_name": contract.gpu_name,
        "status": contract.ending or contract.actual_status or "scheduled", "alive": contract.alive,
        "created_at": contract.created_at, "destroyed_at": contract.ended_at,
        "cost_usd": contract.cost(now) * cloud.settings.money_rate, "offer_id": contract.offer_id,
        "machine_id": contract.machine_id, "account_id": contract.account_id, "num_gpus": contract.num_gpus,
        "intended_status": contract.intended_status, "start_queued": contract.start_queued,
        "actual_status": contract.actual_status, "is_bid": contract.is_bid, "outbid": contract.outbid,
        "dph_total": contract.dph_base + contract.storage_hourly, "gpu_util": cloud.gpu_load(contract)[0],
    }  # fmt: skip


async def requests(request: web.Request) -> web.Response:
    try:
        since = float(request.query.get("since", "0"))
    except ValueError:
        raise invalid("since is not a number of seconds") from None
    return answer({"requests": [entry for entry in cloud_of(request).requests if entry["time"] >= since]})


async def add_account(request: web.Request) -> web.Response:
    body = await json_body(request)
    if not isinstance(body.get("api_key"), str) or not body["api_key"]:
        raise invalid("api_key is missing")
    account = cloud_of(request).add_account(body["api_key"], float(body.get("credit", FIRST_CREDIT)))
    return answer(account.model_dump(), 201)


async def change_account(request: web.Request) -> web.Response:
    """Set what is left of the credit, or the API key."""
    cloud, body = cloud_of(request), await json_body(request)
    account = cloud.accounts.get(number_in(request, "id"))
    if account is None:
        raise refused(404, "not_found", "no such account")
    if "credit" in body:
        cloud.pay_in(account, float(body["credit"]) - cloud.credit(account))
    account.api_key = str(body.get("api_key", account.api_key))
    cloud.store.save("accounts", account.id, account)
    return answer({**account.model_dump(), "credit": cloud.credit(account)})


async def reset(request: web.Request) -> web.Response:
    """All machines gone, faults and logs cleared, the market as seeded. Accounts stay, with their first credit."""
    cloud = cloud_of(request)
    for contract in cloud.living():
        await lifecycle_of(request).end(contract, "killed")
    for kind in ("contracts", "ssh_keys", "api_keys", "webhooks", "hosts", "offers"):
        cloud.store.clear(kind)
    for records in (cloud.contracts, cloud.ssh_keys, cloud.api_keys, cloud.webhooks):
        records.clear()
    cloud.faults.clear()
    cloud.requests.clear()
    cloud.rent_requests = 0
    cloud.limiter = Limiter()
    cloud.populate()
    request.app[LIFE].forget()
    for account in cloud.accounts.values():
        account.credit, account.secrets, account.details, account.warned = FIRST_CREDIT, {}, {}, False
        account.payments = [Payment(time=time.time(), amount=FIRST_CREDIT)]
        cloud.store.save("accounts", account.id, account)
    return answer({"success": True})
