"""What a host does for the customer and uploads: container logs, and the few commands that ``execute`` allows."""

import asyncio
import json
import shlex
import subprocess
from typing import Any

from aiohttp import web

from simulator.machines.machine import Machine, read_log
from simulator.vast.api.errors import ErrorAnswer, invalid, refused
from simulator.vast.api.http import add, answer, cloud_of, json_body, own_contract
from simulator.vast.records import Contract
from simulator.vast.uploads import Uploads

UPLOADS = web.AppKey("uploads", Uploads)
COMMANDS = ("ls", "rm", "du")
LONGEST, PATIENCE = 512, 20.0
"""characters of a command; seconds that it may take"""


def routes(app: web.Application) -> None:
    app[UPLOADS] = Uploads()
    add(app, "PUT", "/api/v0/instances/request_logs/{id}", request_logs)
    add(app, "PUT", "/api/v0/instances/command/{id}", execute)
    add(app, "GET", "/uploads/{name}", download)


def _promised(request: web.Request, contract: Contract, text: str) -> str:
    """The address of an upload; its host has to be reachable for it ever to be there."""
    cloud = cloud_of(request)
    offline = cloud.hosts[contract.machine_id].offline
    seconds = float("inf") if offline else cloud.settings_of(contract.account_id).clocks.logs
    name = request.app[UPLOADS].promise(text, seconds)
    return f"{request.scheme}://{request.host}/uploads/{name}"


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
    return answer({"success": True, "result_url": _promised(request, contract, text), "msg": "logs requested"})


async def execute(request: web.Request) -> web.Response:
    """Only ls, rm and du, without a shell: no general way to run things (clouds.md A6). 483 is Vast's own status."""
    contract = own_contract(request)
    try:
        body = json.loads(await request.read() or b"{}")
    except ValueError:
        raise ErrorAnswer(483, {"success": False, "error": "invalid_json", "msg": "Invalid JSON."}) from None
    words = _words(body)
    machine = cloud_of(request).fleet.known(contract.id)
    offline = cloud_of(request).hosts[contract.machine_id].offline
    if machine is None or (not machine.box.running() and not offline):
        raise refused(400, "invalid_container", "The container is not running.")
    text = "" if offline else await _run(machine, words)
    url = _promised(request, contract, text)
    return answer({"success": True, "result_url": url, "writeable_path": "", "msg": "command requested"})


def _words(body: Any) -> list[str]:
    command = body.get("command") if isinstance(body, dict) else None
    try:
        words = shlex.split(command) if isinstance(command, str) and len(command) <= LONGEST else []
    except ValueError:
        words = []
    if not words or words[0] not in COMMANDS:
        raise invalid("Invalid command given.")
    return words


async def _run(machine: Machine, words: list[str]) -> str:
    box = machine.box
    process = await asyncio.create_subprocess_exec(
        *box.command(["/bin/sh", "-c", 'cd && exec "$@"', "sh", *words]), env=box.environment(), cwd="/",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    try:
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"the command took longer than {PATIENCE:.0f} s\n"
    return out.decode(errors="replace")


async def download(request: web.Request) -> web.Response:
    text = request.app[UPLOADS].read(request.match_info["name"])
    if text is None:
        return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>", content_type="application/xml")
    return web.Response(text=text)
