"""Faults: set them, see how often they struck, remove them."""

from aiohttp import web
from pydantic import ValidationError

from simulator.control.accounts import account_id_in, named
from simulator.faults import Fault
from simulator.vast.api.errors import invalid, refused
from simulator.vast.api.http import add, answer, cloud_of, json_body, number_in


def routes(app: web.Application) -> None:
    add(app, "POST", "/simulator/faults", add_fault)
    add(app, "GET", "/simulator/faults", show_faults)
    add(app, "DELETE", "/simulator/faults", clear_faults)
    add(app, "DELETE", "/simulator/faults/{id}", remove_fault)


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
