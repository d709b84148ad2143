"""Renting: ``PUT /api/v0/asks/{id}/``, several at once, and ``launch_instance`` (search and rent in one)."""

import secrets
import time
from typing import Any

from aiohttp import web

from simulator.faults import Fault
from simulator.vast.api.errors import ErrorAnswer, invalid, no_longer_available, no_such_ask, refused
from simulator.vast.api.http import (
    add,
    answer,
    caller_of,
    cloud_of,
    fault_of,
    json_body,
    lifecycle_of,
    number_in,
    settings_of,
)
from simulator.vast.api.offers import found_offers
from simulator.vast.cloud import Cloud
from simulator.vast.instances.contracts import RentBody, checked, fails_if_unavailable, new_contract
from simulator.vast.instances.lifecycle import STOPPED
from simulator.vast.market import hosts
from simulator.vast.market.bidding import Standing, standing
from simulator.vast.records import Contract, Offer

MAX_BULK = 64


def routes(app: web.Application) -> None:
    add(app, "PUT", "/api/v0/asks/{id}", rent)
    add(app, "POST", "/api/v0/asks/bulk", rent_many)
    add(app, "PUT", "/api/v0/launch_instance", launch)


async def rent(request: web.Request) -> web.Response:
    cloud, number = cloud_of(request), number_in(request, "id")
    cloud.rent_requests[caller_of(request).account.id] += 1
    body = checked(settings_of(request).toggles, await json_body(request))
    answered, status = _rent(request, number, body)
    return answer(answered, status)


async def rent_many(request: web.Request) -> web.Response:
    """The same wish for up to 64 offers; each succeeds or fails for itself."""
    cloud, raw = cloud_of(request), await json_body(request)
    ids = raw.get("ids")
    if not isinstance(ids, list) or not 0 < len(ids) <= MAX_BULK:
        raise invalid(f"give 1 to {MAX_BULK} ids")
    body, results = checked(settings_of(request).toggles, raw), []
    for number in ids:
        cloud.rent_requests[caller_of(request).account.id] += 1
        try:
            answered, _ = _rent(request, int(number), body)
        except ErrorAnswer as problem:
            answered = dict(problem.body) if not isinstance(problem.body, str) else {"msg": problem.body}
        results.append({"ask_id": number, **answered})
    return answer({"success": all(result.get("success") for result in results), "results": results})


async def launch(request: web.Request) -> web.Response:
    """The first offer that the query ``q`` finds and that can still be had."""
    cloud, raw = cloud_of(request), await json_body(request)
    body, query = checked(settings_of(request).toggles, raw), raw.get("q")
    if not isinstance(query, dict):
        raise invalid("q is missing")
    cloud.rent_requests[caller_of(request).account.id] += 1
    for row in found_offers(cloud, query, settings_of(request).toggles.search_cap):
        if row["rentable"]:
            answered, status = _rent(request, row["id"], body)
            return answer({**answered, "ask_id": row["id"]}, status)
    raise refused(404, "no_such_ask", "No offers found matching the query.")


def _rent(request: web.Request, number: int, body: RentBody) -> tuple[dict[str, Any], int]:
    cloud = cloud_of(request)
    offer = cloud.offers.get(number)
    if offer is None:
        raise no_such_ask(settings_of(request).toggles, number)
    if cloud.credit(caller_of(request).account) <= 0:
        raise refused(400, "insufficient_credit", "Your account has no credit left; add some to rent instances.")
    if fault_of(request, "phantom"):
        return _rented(request, cloud.next_contract_id() + 100_000, secrets.token_hex(32))
    return _sell(request, offer, body)


def _sell(request: web.Request, offer: Offer, body: RentBody) -> tuple[dict[str, Any], int]:
    cloud, lifecycle = cloud_of(request), lifecycle_of(request)
    host = cloud.hosts[offer.machine_id]
    here = standing(host, cloud.living())
    free = here.fits(offer.num_gpus) and time.time() < host.end_date
    again = fault_of(request, "double_sale")
    if not free and not again and not _race(cloud, here):
        raise no_such_ask(settings_of(request).toggles, offer.id)
    raced = fault_of(request, "unavailable")
    if raced and fails_if_unavailable(settings_of(request).toggles, body):
        raise no_longer_available(offer.id)
    contract = new_contract(cloud, caller_of(request).account, offer, body)
    _delay_showing(request, contract)
    if raced:
        return _queue(request, contract, raced, wanted=body.target_state != "stopped")
    if not free:
        contract.fails = again.ending if again else "exits"
    contract.outbid = _too_low(here, offer, contract)
    if fault_of(request, "error_with_contract") or contract.outbid:
        return _underbid(request, contract)
    lifecycle.put(contract)
    lifecycle.create(contract)
    if free:
        hosts.settle(cloud, lifecycle, host)
    return _rented(request, contract.id, contract.api_key)


def _queue(request: web.Request, contract: Contract, raced: Fault, *, wanted: bool) -> tuple[dict[str, Any], int]:
    """Others got the GPUs in between: an instance is left that waits for them, stopped, and is billed for its disk."""
    contract.free_from = time.time() + raced.delay_seconds
    lifecycle_of(request).put(contract, start_queued=wanted, actual_status="stopped", **STOPPED)
    return _rented(request, contract.id, contract.api_key)


def _race(cloud: Cloud, here: Standing) -> bool:
    """Was the offer sold just now, and does this customer get an id for it all the same?"""
    market = cloud.settings.market
    just_sold = any(time.time() - contract.created_at < market.race_seconds for contract in here.contracts)
    return just_sold and here.open() and cloud.faults.chance(market.double_sale)


def _too_low(here: Standing, offer: Offer, contract: Contract) -> bool:
    return contract.is_bid and (contract.dph_base < offer.min_bid or not here.place_for(contract))


def _delay_showing(request: web.Request, contract: Contract) -> None:
    """Faults: shown nowhere, not in lists, or not by its id for a while."""
    for name, field in (("listed_late", "visible_from"), ("unlisted", "listed_from"), ("unfound", "found_from")):
        if fault := fault_of(request, name):
            setattr(contract, field, time.time() + fault.delay_seconds)


def _rented(request: web.Request, number: int, key: str) -> tuple[dict[str, Any], int]:
    if fault_of(request, "success_without_id"):
        return {"success": True}, 200
    return {"success": True, "new_contract": number, "instance_api_key": key}, 200


def _underbid(request: web.Request, contract: Contract) -> tuple[dict[str, Any], int]:
    """The instance is made all the same, stopped, and the refusal carries its id (dstack #4025)."""
    body: dict[str, Any] = {"success": False, "error": "invalid_price", "msg": "Bid price is below the minimum bid."}
    if settings_of(request).toggles.contract_on_failed_bid or fault_of(request, "error_with_contract"):
        lifecycle_of(request).put(contract, actual_status="stopped", **STOPPED)
        body["new_contract"] = contract.id
    return body, 400
