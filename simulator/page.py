"""The page at ``/``: machines, market, faults, books and requests, live. Its files are in ``page_files/``."""

import asyncio
import json
from pathlib import Path
from typing import Any, get_args

from aiohttp import web

from simulator.control.accounts import account_rows
from simulator.control.books import book_rows
from simulator.control.market import host_rows
from simulator.control.scenarios import DRILLS, drill_rows
from simulator.faults import FaultName
from simulator.vast.api.http import LIFE, add, cloud_of

FILES = Path(__file__).parent / "page_files"
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
EVERY = 1.0
"""seconds between two pictures"""
SHOWN_REQUESTS, SHOWN_ENDED = 60, 30


def routes(app: web.Application) -> None:
    app.router.add_get("/", index)
    app.router.add_get(r"/page/{name:[a-z]+\.(?:css|js)}", page_file)
    add(app, "GET", "/simulator/live", live)


async def index(request: web.Request) -> web.Response:
    return _file("index.html")


async def page_file(request: web.Request) -> web.Response:
    return _file(request.match_info["name"])


def _file(name: str) -> web.Response:
    file = FILES / name
    if not file.is_file():
        raise web.HTTPNotFound
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": "default-src 'self'"}
    return web.Response(text=file.read_text(), content_type=KINDS[file.suffix], headers=headers)


def picture(app: web.Application, request: web.Request) -> dict[str, Any]:
    """All that the page shows."""
    cloud, books = cloud_of(request), book_rows(cloud_of(request))
    alive = [row for row in books if row["alive"]]
    ended = sorted((row for row in books if not row["alive"]), key=lambda row: row["destroyed_at"] or 0, reverse=True)
    return {
        "speed": cloud.speed, "seed": cloud.seed, "namespaces": cloud.fleet.namespaces, "accounts": account_rows(cloud),
        "alive": alive, "ended": ended[:SHOWN_ENDED], "ended_count": len(ended), "hosts": host_rows(cloud),
        "spent": sum(row["cost_usd"] for row in books), "rent_requests": cloud.rent_requests.total(),
        "market_hours": app[LIFE].hours, "market_rate": cloud.settings.market.rate,
        "faults": [fault.model_dump() for fault in cloud.faults.all()], **drill_rows(app[DRILLS]),
        "requests": list(cloud.requests)[-SHOWN_REQUESTS:], "request_count": len(cloud.requests),
        "fault_names": get_args(FaultName),
    }  # fmt: skip


async def live(request: web.Request) -> web.StreamResponse:
    """Server-sent events: a whole picture every second."""
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    while True:
        text = json.dumps(picture(request.app, request))
        try:
            await response.write(f"data: {text}\n\n".encode())
        except ConnectionResetError:
            return response
        await asyncio.sleep(EVERY)
