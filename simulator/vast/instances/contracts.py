"""Making a contract: what a create asks for, checked against Vast's limits (clouds.md A3)."""

import secrets
import time
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simulator.settings import Toggles
from simulator.vast.api.errors import invalid, refused
from simulator.vast.cloud import Cloud
from simulator.vast.instances.ports import assign_ports
from simulator.vast.market.offer_rows import storage_hourly
from simulator.vast.records import Account, Contract, Offer

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
    cancel_unavail: bool | None = None
    """fail rather than leave a stopped instance that waits for GPUs"""


def checked(toggles: Toggles, raw: dict[str, Any]) -> RentBody:
    """The body within Vast's limits. Refuses with 400."""
    try:
        body = RentBody.model_validate(raw)
    except ValidationError as problem:
        first = problem.errors()[0]
        raise invalid(f"invalid {'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None
    if isinstance(body.env, str):
        if toggles.env_string == "400":
            raise invalid("invalid env type: env must be a dict")
        body.env = None
    if body.label and len(body.label) > MAX_LABEL:
        if toggles.long_label == "400":
            raise refused(400, "label_too_long", f"label is longer than {MAX_LABEL} characters")
        body.label = body.label[:MAX_LABEL]
    _check_sizes(body)
    check_price(toggles, body.price)
    return body


def fails_if_unavailable(toggles: Toggles, body: RentBody) -> bool:
    """What ``cancel_unavail`` means for this create, said or not (clouds.md A3, G)."""
    if body.cancel_unavail is not None:
        return body.cancel_unavail
    return toggles.cancel_unavail == "docs" and body.price is None and body.target_state != "stopped"


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


def check_price(toggles: Toggles, price: float | None) -> None:
    if price is None or (price == 0 and toggles.price_zero == "accepted"):
        return
    if not 0.001 <= price <= 128:
        raise refused(400, "invalid_price", "Please set a bid price >= 0.001.")


def new_contract(cloud: Cloud, account: Account, offer: Offer, body: RentBody) -> Contract:
    """Not kept yet. A bid of 0 (SkyPilot sends it) is the least that gets the offer."""
    host, number = cloud.hosts[offer.machine_id], cloud.next_contract_id()
    env = {str(k): str(v) for k, v in body.env.items()} if isinstance(body.env, dict) else {}
    running, bid = body.target_state != "stopped", body.price is not None
    contract = Contract(
        id=number, account_id=account.id, offer_id=offer.id, machine_id=host.id, num_gpus=offer.num_gpus,
        gpu_name=host.gpu_name, gpu_ram=host.gpu_ram, dph_base=body.price or (offer.min_bid if bid else offer.dph_base),
        storage_hourly=storage_hourly(host, body.disk), is_bid=bid, label=body.label,
        image=body.image or "", runtype=body.runtype or "ssh_proxy", onstart=body.onstart or "",
        args=body.args or ([body.args_str] if body.args_str else []), env=env, disk=body.disk,
        api_key=secrets.token_hex(32), address=cloud.fleet.address(number), ssh_host=cloud.fleet.proxy_address(),
        ssh_port=0,
        intended_status="running" if running else "stopped", cur_state="running" if running else "stopped",
        created_at=time.time(), attached=cloud.account_keys(account.id), inet_cost=host.inet_cost,
    )  # fmt: skip
    try:
        assign_ports(contract, cloud.fleet, cloud.living())
    except ValueError as problem:
        raise invalid(str(problem)) from None
    return contract
