"""The truth: every machine that ever was, and every request that came."""

import time
from typing import Any

from aiohttp import web

from simulator.control.accounts import account_id_in
from simulator.vast.api.errors import invalid
from simulator.vast.api.http import add, answer, cloud_of
from simulator.vast.cloud import Cloud
from simulator.vast.records import Contract


def routes(app: web.Application) -> None:
    add(app, "GET", "/simulator/books", books)
    add(app, "GET", "/simulator/requests", requests)


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
