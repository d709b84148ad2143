"""One rented machine: show, change its state, label it, destroy it; and the same in bulk."""

import time
from typing import Any

from aiohttp import web

from simulator.vast.api.errors import ErrorAnswer, invalid, no_such_instance, refused
from simulator.vast.api.http import (
    add,
    answer,
    caller_of,
    cloud_of,
    fault_of,
    json_body,
    lifecycle_of,
    own_contract,
    settings_of,
)
from simulator.vast.instances.instance_rows import instance_row
from simulator.vast.records import Contract

MAX_BULK, MAX_LABEL = 64, 1024
QUEUED = "Required resources are currently unavailable, state change queued."


def routes(app: web.Application) -> None:
    add(app, "PUT", "/api/v0/instances", change_many)
    add(app, "DELETE", "/api/v0/instances", destroy_many)
    add(app, "PUT", "/api/v0/instances/reboot/{id}", reboot)
    add(app, "PUT", "/api/v0/instances/recycle/{id}", recycle)
    add(app, "GET", r"/api/v0/instances/{id:-?\d+}", show)
    add(app, "PUT", r"/api/v0/instances/{id:-?\d+}", change)
    add(app, "DELETE", r"/api/v0/instances/{id:-?\d+}", destroy)


async def show(request: web.Request) -> web.Response:
    cloud = cloud_of(request)
    try:
        contract = own_contract(request)
    except ErrorAnswer as problem:
        if problem.status == 404 and settings_of(request).toggles.unknown_instance == "null":
            return answer({"instances": None})
        raise
    found = cloud.findable(contract) and not fault_of(request, "empty_list")
    return answer({"instances": instance_row(cloud, contract) if found else None})


async def change(request: web.Request) -> web.Response:
    contract, body = own_contract(request), await json_body(request)
    if fault := fault_of(request, "reads_lag"):
        old = instance_row(cloud_of(request), contract)
        lifecycle_of(request).put(contract, old_row=old, old_until=time.time() + fault.delay_seconds)
    if "label" in body:
        return _relabel(request, contract, body["label"])
    return answer(_set_state(request, contract, body.get("state")))


def _relabel(request: web.Request, contract: Contract, label: Any) -> web.Response:
    if label is not None and (not isinstance(label, str) or len(label) > MAX_LABEL):
        raise refused(400, "label_too_long", f"label is longer than {MAX_LABEL} characters")
    lifecycle_of(request).put(contract, label=label)
    return answer({"success": True})


def _set_state(request: web.Request, contract: Contract, state: Any) -> dict[str, Any]:
    lifecycle, cloud = lifecycle_of(request), cloud_of(request)
    if state == "stopped":
        lifecycle.stop(contract)
    elif state == "running":
        if cloud.credit(caller_of(request).account) <= 0:
            raise refused(400, "missing_billing", "Your account has no credit left.")
        if fault := fault_of(request, "unavailable"):
            lifecycle.put(contract, free_from=time.time() + fault.delay_seconds)
        if _asleep(contract) and not lifecycle.start(contract):
            return {"success": False, "error": "resources_unavailable", "msg": QUEUED}
    else:
        raise invalid("state must be running or stopped")
    return {"success": True}


def _asleep(contract: Contract) -> bool:
    ended = contract.actual_status in ("exited", "stopped")
    return ended or "stopped" in (contract.intended_status, contract.cur_state)


async def change_many(request: web.Request) -> web.Response:
    body = await json_body(request)
    contracts = _many(request, body.get("ids"))
    results = [_set_state(request, contract, body.get("state")) for contract in contracts]
    return answer({"success": all(result["success"] for result in results)})


async def destroy(request: web.Request) -> web.Response:
    lifecycle_of(request).destroy(own_contract(request))
    return answer({"success": True})


async def destroy_many(request: web.Request) -> web.Response:
    body = await json_body(request)
    for contract in _many(request, body.get("instance_ids") or body.get("ids")):
        lifecycle_of(request).destroy(contract)
    return answer({"success": True})


def _many(request: web.Request, ids: Any) -> list[Contract]:
    caller, contracts = caller_of(request), cloud_of(request).contracts
    if not isinstance(ids, list) or not 0 < len(ids) <= MAX_BULK:
        raise invalid(f"give 1 to {MAX_BULK} ids")
    found = []
    for number in ids:
        contract = contracts.get(int(number)) if str(number).lstrip("-").isdigit() else None
        if contract is None or not contract.alive or contract.account_id != caller.account.id:
            raise no_such_instance(number)
        found.append(contract)
    return found


def _running(request: web.Request) -> Contract:
    contract = own_contract(request)
    if contract.cur_state != "running":
        raise invalid("instance is not running")
    return contract


async def reboot(request: web.Request) -> web.Response:
    lifecycle_of(request).reboot(_running(request))
    return answer({"success": True})


async def recycle(request: web.Request) -> web.Response:
    lifecycle_of(request).reboot(_running(request), wipe=True)
    return answer({"success": True})
