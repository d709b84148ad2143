"""Charges and invoices, both out of the money ledger: one charge per machine with its items, one invoice per payment.

A charge is for the machine's whole life so far, not for the part of it inside the dates asked for (any overlap counts).
"""

import base64
import json
import time
from typing import Any

from aiohttp import web

from simulator.vast.api.errors import refused
from simulator.vast.api.http import add, answer, caller_of, cloud_of
from simulator.vast.cloud import Cloud
from simulator.vast.records import Account, Contract

PAGE, MOST = 20, 100
Row = dict[str, Any]


def routes(app: web.Application) -> None:
    add(app, "GET", "/api/v0/charges", charges)
    add(app, "GET", "/api/v1/invoices", invoices)
    add(app, "GET", "/api/v0/users/me/invoices", old_invoices)


def charge_rows(cloud: Cloud, account: Account) -> list[Row]:
    now, rate = time.time(), cloud.settings_of(account.id).money_rate
    mine = (c for c in cloud.contracts.values() if c.account_id == account.id)
    return [_charge(contract, now, rate) for contract in mine]


def _charge(contract: Contract, now: float, rate: float) -> Row:
    when = {"start": int(contract.created_at), "end": int(contract.ended_at or now), "metadata": {}}
    items = [
        {"type": kind, "source": f"instance-{contract.id}", "amount": amount * rate, "description": kind, "items": [],
         **when}
        for kind, amount in contract.items(now).items()
    ]  # fmt: skip
    label = f" ({contract.label})" if contract.label else ""
    return {
        "id": contract.id, "type": "instance", "source": f"instance-{contract.id}", "items": items,
        "amount": sum(item["amount"] for item in items), **when,
        "description": f"{contract.num_gpus}x {contract.gpu_name}{label}",
        "metadata": {"instance_id": contract.id, "label": contract.label, "machine_id": contract.machine_id},
    }  # fmt: skip


def invoice_rows(account: Account) -> list[Row]:
    """Money paid in has a minus on the wire: the official client turns the sign. Dates are whole seconds, as in
    charges: that client asks up to the present second, and finds what was paid in it."""
    return [
        {"id": number, "type": "credit", "source": "stripe_payments", "service": "stripe_payments", "items": [],
         "start": int(paid.time), "end": int(paid.time), "amount": -paid.amount, "description": "Simulated payment",
         "metadata": {"invoice_id": account.id * 1000 + number}}
        for number, paid in enumerate(account.payments, start=1)
    ]  # fmt: skip


async def charges(request: web.Request) -> web.Response:
    return _page(request, charge_rows(cloud_of(request), caller_of(request).account), "day", "type")


async def invoices(request: web.Request) -> web.Response:
    return _page(request, invoice_rows(caller_of(request).account), "when", "service")


def _page(request: web.Request, rows: list[Row], date: str, kind: str) -> web.Response:
    """``date`` and ``kind`` are the columns that the filters name."""
    try:
        filters = json.loads(request.query.get("select_filters") or "{}")
        dates, kinds = filters.get(date, {}), filters.get(kind, {}).get("in")
        first, last = float(dates.get("gte", 0)), float(dates.get("lte", 1e12))
        limit = min(int(request.query.get("limit", PAGE)), MOST)
        after = _after(request.query.get("after_token"))
    except (AttributeError, TypeError, ValueError):
        raise refused(400, "invalid_request", "Error in query parameters") from None
    found = [row for row in rows if row["start"] <= last and row["end"] >= first and (not kinds or row[kind] in kinds)]
    found.sort(
        key=lambda row: (row["start"], row["id"]), reverse=request.query.get("latest_first", "").lower() == "true"
    )
    place = next((n + 1 for n, row in enumerate(found) if row["id"] == after), 0)
    page = found[place : place + max(1, limit)]
    more = place + len(page) < len(found)
    token = base64.b64encode(json.dumps({"values": {"id": page[-1]["id"]}}).encode()).decode() if more else None
    return answer({
        "success": True, "results": page, "count": len(page), "total": len(found), "next_token": token,
    })  # fmt: skip


def _after(token: str | None) -> int | None:
    return int(json.loads(base64.b64decode(token, validate=True))["values"]["id"]) if token else None


async def old_invoices(request: web.Request) -> web.Response:
    """``GET /users/me/invoices``, which the official CLI calls deprecated and still has."""
    cloud, account = cloud_of(request), caller_of(request).account
    rows = charge_rows(cloud, account) if request.query.get("inc_charges", "").lower() != "false" else []
    charged = [
        {"type": "charge", "description": row["description"], "timestamp": row["end"], "amount": f"{row['amount']:.6f}",
         "instance_id": row["id"], "quantity": 1, "rate": row["amount"]}
        for row in rows
    ]  # fmt: skip
    paid = [
        {"type": "payment", "description": "Simulated payment", "timestamp": p.time, "amount": f"{p.amount:.2f}"}
        for p in account.payments
    ]
    total = sum(row["amount"] for row in rows)
    current = {"charges": total, "service_fee": 0.0, "total": total, "credit": cloud.credit(account)}
    return answer({"success": True, "invoices": [*charged, *paid], "current": current})
