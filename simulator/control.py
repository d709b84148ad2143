"""The /simulator routes: faults, the truth, and what no customer of the real thing could do. No key, loopback only."""

import time
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from simulator.cloud import Cloud
from simulator.control_accounts import account_id_in, account_rows, named
from simulator.faults import Fault
from simulator.records import Contract
from simulator.wire.answers import add, answer, cloud_of, json_body, number_in
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


async def health(request: web.Request) -> web.Response:
    return answer({"status": "ok", "simulated": True})


async def info(request: web.Request) -> web.Response:
    cloud = cloud_of(request)
    return answer({
        "simulated": True, "clouds": ["vast"], "speed": cloud.speed, "seed": cloud.seed,
        "machines": "namespaces" if cloud.fleet.namespaces else "folders (no namespaces here: no isolation)",
        "settings": cloud.settings.model_dump(), "offers": len(cloud.offers), "accounts": account_rows(cloud),
        "alive": len(cloud.living()),
    })  # fmt: skip


async def change_settings(request: web.Request) -> web.Response:
    """Merge into the settings, at any depth: ``{"clocks": {"sshd": 5}, "rate_limit_scale": 1}``. With ``?account=``
    they hold for that account's requests and machines only."""
    cloud, account, changes = cloud_of(request), account_id_in(request), await json_body(request)
    try:
        if account is None:
            cloud.settings = cloud.settings.changed(changes)
        else:
            cloud.account_settings.change(account, changes, cloud.settings)
    except ValueError as problem:
        raise invalid(str(problem)) from None
    for machine in cloud.fleet.all():
        machine.open_ways_out(cloud.settings.way_out)
    return answer(cloud.settings_of(account).model_dump())


async def add_fault(request: web.Request) -> web.Response:
    """Its ``account`` is an account's number or API key."""
    cloud, body = cloud_of(request), await json_body(request)
    if body.get("account") is not None:
        body["account"] = named(cloud, str(body["account"])).id
    try:
        fault = Fault.model_validate(body)
    except ValidationError as problem:
        raise invalid(str(problem)) from None
    return answer({"id": cloud.faults.add(fault).id}, 201)


async def show_faults(request: web.Request) -> web.Response:
    found = cloud_of(request).faults.all(account_id_in(request))
    return answer({"faults": [fault.model_dump() for fault in found]})


async def clear_faults(request: web.Request) -> web.Response:
    cloud_of(request).faults.clear(account_id_in(request))
    return answer({"success": True})


async def remove_fault(request: web.Request) -> web.Response:
    if not cloud_of(request).faults.remove(number_in(request, "id")):
        raise refused(404, "not_found", "no such fault")
    return answer({"success": True})


async def books(request: web.Request) -> web.Response:
    """The truth about every machine that ever was, whatever the API says of it."""
    cloud, account = cloud_of(request), account_id_in(request)
    rows = [row for row in book_rows(cloud) if account in (None, row["account_id"])]
    asked = cloud.rent_requests.total() if account is None else cloud.rent_requests[account]
    return answer({"machines": rows, "alive": sum(1 for row in rows if row["alive"]), "rent_requests": asked})


def book_rows(cloud: Cloud) -> list[dict[str, Any]]:
    now = time.time()
    return [_book(cloud, contract, now) for contract in cloud.contracts.values()]


def _book(cloud: Cloud, contract: Contract, now: float) -> dict[str, Any]:
    rate = cloud.settings_of(contract.account_id).money_rate
    return {
        "id": contract.id, "cloud": "vast", "label": contract.label, "gpu_name": contract.gpu_name,
        "status": contract.ending or contract.actual_status or "scheduled", "alive": contract.alive,
        "created_at": contract.created_at, "destroyed_at": contract.ended_at, "cost_usd": contract.cost(now) * rate,
        "offer_id": contract.offer_id, "machine_id": contract.machine_id, "account_id": contract.account_id,
        "num_gpus": contract.num_gpus, "intended_status": contract.intended_status,
        "start_queued": contract.start_queued, "actual_status": contract.actual_status,
        "is_bid": contract.is_bid, "outbid": contract.outbid,
        "dph_total": contract.dph_base + contract.storage_hourly, "gpu_util": cloud.gpu_load(contract)[0],
    }  # fmt: skip


async def requests(request: web.Request) -> web.Response:
    try:
        since = float(request.query.get("since", "0"))
    except ValueError:
        raise invalid("since is not a number of seconds") from None
    account = account_id_in(request)
    found = [entry for entry in cloud_of(request).requests if entry["time"] >= since]
    return answer({"requests": [entry for entry in found if account in (None, entry["account"])]})
