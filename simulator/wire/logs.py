"""Container logs: the request names an object, and the object is there a little later (404 until then)."""

import secrets
import time
from dataclasses import dataclass, field

from aiohttp import web

from simulator.machines.machine import read_log
from simulator.wire.answers import add, answer, cloud_of, json_body, own_contract
from simulator.wire.errors import invalid


@dataclass(slots=True)
class Uploads:
    """The stand-in for the S3 bucket that hosts upload logs to."""

    objects: dict[str, tuple[float, str]] = field(default_factory=dict)
    """name → (when it is there, text)"""


UPLOADS = web.AppKey("uploads", Uploads)


def routes(app: web.Application) -> None:
    app[UPLOADS] = Uploads()
    add(app, "PUT", "/api/v0/instances/request_logs/{id}", request_logs)
    add(app, "GET", "/uploads/{name}", download)


async def request_logs(request: web.Request) -> web.Response:
    """``tail``, ``filter`` and ``daemon_logs`` come as strings."""
    contract, body, cloud = own_contract(request), await json_body(request), cloud_of(request)
    tail = body.get("tail", "1000")
    if not str(tail).isdigit():
        raise invalid("invalid tail")
    if str(body.get("daemon_logs", "")).lower() == "true":
        text = f"simulated host: {contract.actual_status} {contract.status_msg}\n"
    else:
        text = read_log(cloud.fleet.folder / str(contract.id), int(tail))
    if wanted := body.get("filter"):
        text = "".join(line for line in text.splitlines(keepends=True) if str(wanted) in line)
    name = f"{secrets.token_hex(16)}.log"
    uploads = request.app[UPLOADS].objects
    uploads[name] = (time.monotonic() + cloud.settings.clocks.logs, text)
    while len(uploads) > 1000:
        uploads.pop(next(iter(uploads)))
    address = f"{request.scheme}://{request.host}/uploads/{name}"
    return answer({"success": True, "result_url": address, "msg": "logs requested"})


async def download(request: web.Request) -> web.Response:
    ready, text = request.app[UPLOADS].objects.get(request.match_info["name"], (float("inf"), ""))
    if time.monotonic() < ready:
        return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>", content_type="application/xml")
    return web.Response(text=text)
