"""Renting: ``PUT /api/v0/asks/{id}/``."""

import secrets
import time
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulator.cloud import Cloud
from simulator.market import gpus_held
from simulator.offer_rows import storage_hourly
from simulator.ports import assign_ports
from simulator.records import Account, Contract, Offer
from simulator.wire.answers import add, answer, caller_of, cloud_of, fault_of, json_body, lifecycle_of, number_in
from simulator.wire.errors import invalid, no_such_ask, refused

MAX_SCRIPT, MAX_LABEL, MAX_IMAGE, MAX_ENV_ENTRY, MAX_ENV = 4096, 256, 1024, 256, 32768


class RentBody(BaseModel):
    """The fields of a create that count here; the others of the real one are taken and not used."""

    model_config = ConfigDict(extra="allow")

    image: str | None = None
    disk: float = Field(default=8.0)
    label: str | None = None
    onstart: str | None = None
    env: dict[str, Any] | str | None = None
    runtype: str | None = None
    args: list[str] | None = None
    args_str: str | None = None
    price: float | None = None
    target_state: str = "running"


def routes(app: web.Application) -> None:
    add(app, "PUT", "/api/v0/asks/{id}", rent)


async def rent(request: web.Request) -> web.Response:
    cloud, number = cloud_of(request), number_in(request, "id")
    cloud.rent_requests += 1
    body = _checked(cloud, await json_body(request))
    offer = cloud.offers.get(number)
    if offer is None:
        raise no_such_ask(cloud.settings.toggles, number)
    if cloud.credit(caller_of(request).account) <= 0:
        raise refused(400, "insufficient_credit", "Your account has no credit left; add some to rent instances.")
    if fault_of(request, "phantom"):
        return _rented(request, cloud.next_contract_id() + 100_000, secrets.token_hex(32))
    return _sell(request, offer, body)


def _sell(request: web.Request, offer: Offer, body: RentBody) -> web.Response:
    cloud, lifecycle = cloud_of(request), lifecycle_of(request)
    host = cloud.hosts[offer.machine_id]
    free = gpus_held(host, cloud.living()) + offer.num_gpus <= host.gpus
    if not free and not fault_of(request, "double_sale"):
        raise no_such_ask(cloud.settings.toggles, offer.id)
    contract = _contract(cloud, caller_of(request).account, offer, body)
    contract.doomed = not free
    if late := fault_of(request, "listed_late"):
        contract.visible_from = time.time() + late.delay_seconds
    if body.price is not None and 0 < body.price < offer.min_bid:
        return _underbid(request, contract)
    lifecycle.put(contract)
    lifecycle.create(contract)
    return _rented(request, contract.id, contract.api_key)


def _rented(request: web.Request, number: int, key: str) -> web.Response:
    if fault_of(request, "success_without_id"):
        return answer({"success": True})
    return answer({"success": True, "new_contract": number, "instance_api_key": key})


def _underbid(request: web.Request, contract: Contract) -> web.Response:
    """The instance is made all the same, stopped, and the refusal carries its id (dstack #4025)."""
    body: dict[str, Any] = {"success": False, "error": "invalid_price", "msg": "Bid price is below the minimum bid."}
    if cloud_of(request).settings.toggles.contract_on_failed_bid:
        changes = {"actual_status": "stopped", "cur_state": "stopped", "intended_status": "stopped"}
        lifecycle_of(request).put(contract, **changes)
        body["new_contract"] = contract.id
    return answer(body, status=400)


def _checked(cloud: Cloud, raw: dict[str, Any]) -> RentBody:
    """The body within Vast's limits. Refuses with 400."""
    try:
        body = RentBody.model_validate(raw)
    except ValidationError as problem:
        first = problem.errors()[0]
        raise invalid(f"invalid {'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None
    toggles = cloud.settings.toggles
    if isinstance(body.env, str):
        if toggles.env_string == "400":
            raise invalid("invalid env type: env must be a dict")
        body.env = None
    if body.label and len(body.label) > MAX_LABEL:
        if toggles.long_label == "400":
            raise refused(400, "label_too_long", f"label is longer than {MAX_LABEL} characters")
        body.label = body.label[:MAX_LABEL]
    _check_sizes(body)
    _check_price(cloud, body)
    return body


def _check_sizes(body: RentBody) -> None:
    if not body.image or len(body.image) > MAX_IMAGE:
        raise invalid("image is missing or too long")
    if not 0 < body.disk < 100_000:
        raise invalid("invalid disk")
    script = len(body.onstart or "") + sum(len(part) for part in body.args or ())
    if script > MAX_SCRIPT:
        raise invalid(f"args and onstart are longer than {MAX_SCRIPT} characters")
    env = body.env if isinstance(body.env, dict) else {}
    sizes = [len(str(name)) + len(str(value)) for name, value in env.items()]
    if sum(sizes) > MAX_ENV or any(size > MAX_ENV_ENTRY * 16 for size in sizes):
        raise invalid("env is too large")


def _check_price(cloud: Cloud, body: RentBody) -> None:
    if body.price is None or (body.price == 0 and cloud.settings.toggles.price_zero == "accepted"):
        return
    if not 0.001 <= body.price <= 128:
        raise refused(400, "invalid_price", "Please set a bid price >= 0.001.")


def _contract(cloud: Cloud, account: Account, offer: Offer, body: RentBody) -> Contract:
    host, number = cloud.hosts[offer.machine_id], cloud.next_contract_id()
    env = {str(k): str(v) for k, v in body.env.items()} if isinstance(body.env, dict) else {}
    running = body.target_state != "stopped"
    contract = Contract(
        id=number, account_id=account.id, offer_id=offer.id, machine_id=host.id, num_gpus=offer.num_gpus,
        gpu_name=host.gpu_name, gpu_ram=host.gpu_ram, dph_base=body.price or offer.dph_base,
        storage_hourly=storage_hourly(host, body.disk), is_bid=body.price is not None, label=body.label,
        image=body.image or "", runtype=body.runtype or "ssh_proxy", onstart=body.onstart or "",
        args=body.args or ([body.args_str] if body.args_str else []), env=env, disk=body.disk,
        api_key=secrets.token_hex(32), address=cloud.fleet.address(number), ssh_host="127.0.0.1", ssh_port=0,
        intended_status="running" if running else "stopped", cur_state="running" if running else "stopped",
        created_at=time.time(), attached=cloud.account_keys(account.id),
    )  # fmt: skip
    try:
        assign_ports(contract, cloud.fleet, cloud.living())
    except ValueError as problem:
        raise invalid(str(problem)) from None
    return contract
