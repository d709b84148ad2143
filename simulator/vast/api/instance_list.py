"""``GET /api/v1/instances/``: filters, order, and pages of 25 by keyset token."""

import base64
import json
from typing import Any

from aiohttp import web

from simulator.vast.api.errors import refused
from simulator.vast.api.http import add, answer, caller_of, cloud_of, fault_of, settings_of
from simulator.vast.instances.instance_rows import instance_row
from simulator.vast.query import BadQuery, Row, matches, ordered

PAGE = 25
# Computed columns cannot be filtered or ordered by: the live service refuses them by name.
COMPUTED = {"dph_total", "num_gpus", "gpu_util", "ports", "duration", "uptime_mins", "search", "instance", "extra_env"}


def routes(app: web.Application) -> None:
    add(app, "GET", "/api/v1/instances", list_instances)
    add(app, "GET", "/api/v0/instances", retired_list)
    add(app, "GET", "/api/v0/instances/filters", filters)


async def retired_list(request: web.Request) -> web.Response:
    text = "/api/v0/instances/ is deprecated. Use /api/v1/instances/ instead."
    raise refused(410, "deprecated_endpoint", text)


async def list_instances(request: web.Request) -> web.Response:
    rows = _rows(request)
    total = len(rows)
    try:
        rows = [row for row in rows if matches(row, _json(request, "select_filters", {}), _column)]
        order = [(_known(str(item["col"])), item.get("dir") == "desc") for item in _json(request, "order_by", [])]
    except BadQuery as problem:
        raise refused(400, "invalid_request", f"Error in query parameters: {problem}") from None
    except (AttributeError, KeyError, TypeError):
        raise refused(400, "invalid_request", "Error in query parameters") from None
    # The id comes last in every order, so that each row has a place of its own to go on from.
    found = ordered(rows, [*order, ("id", False)])
    page, token = _page(found, _limit(request), request.query.get("after_token"))
    counts: dict[str, int] = {}
    for row in rows:
        if row["label"]:
            counts[row["label"]] = counts.get(row["label"], 0) + 1
    if fault_of(request, "truncated_list"):
        token = None
    if fault_of(request, "cut_page"):
        page, token = page[: len(page) // 2], None
    if fault_of(request, "empty_page"):
        page = []
    return answer({
        "success": True, "instances_found": len(found), "total_instances": total, "label_counts": counts,
        "next_token": token, "instances": [_shown(request, row) for row in page],
    })  # fmt: skip


def _rows(request: web.Request) -> list[Row]:
    if fault_of(request, "empty_list"):
        return []
    cloud, caller = cloud_of(request), caller_of(request)
    shown = (c for c in cloud.listed(caller.account) if caller.instance in (None, c.id))
    rows = [instance_row(cloud, contract) for contract in shown]
    return [row for row in rows for _ in range(2)] if fault_of(request, "duplicates") else list(rows)


def _known(name: str) -> str:
    if name in COMPUTED:
        raise BadQuery(f"{name} is not a valid search key")
    return name


def _column(row: Row, name: str) -> Any:
    if name not in row and name != "ports":
        raise BadQuery(f"{name} is not a valid search key")
    return row[_known(name)]


def _shown(request: web.Request, row: Row) -> Row:
    if fault_of(request, "missing_fields"):
        row = {**{k: v for k, v in row.items() if k != "ports"}, "actual_status": None, "start_date": None}
    columns = _json(request, "select_cols", None)
    return row if not columns or "*" in columns else {name: row.get(name) for name in columns}


def _json(request: web.Request, name: str, default: Any) -> Any:
    text = request.query.get(name)
    if not text:
        return default
    try:
        return json.loads(text)
    except ValueError:
        raise refused(400, "invalid_request", f"Error in query parameters: {name} is not valid JSON") from None


def _limit(request: web.Request) -> int:
    try:
        wanted = int(request.query.get("limit", PAGE))
    except ValueError:
        raise refused(400, "invalid_request", "Error in query parameters: limit") from None
    if wanted > PAGE and settings_of(request).toggles.list_limit_over_25 == "error":
        raise refused(400, "invalid_request", f"Error in query parameters: limit is above {PAGE}")
    return 5 if wanted <= 0 else min(wanted, PAGE)


def _page(rows: list[Row], limit: int, token: str | None) -> tuple[list[Row], str | None]:
    start = _place_after(rows, token) if token else 0
    page = rows[start : start + limit]
    more = start + limit < len(rows)
    return page, _token(page[-1]["id"]) if more else None


def _token(number: int) -> str:
    return base64.b64encode(json.dumps({"values": {"id": number}}).encode()).decode()


def _place_after(rows: list[Row], token: str) -> int:
    """Where the next page begins: after the row that the token names, or where it would be by its id."""
    try:
        last = int(json.loads(base64.b64decode(token, validate=True))["values"]["id"])
    except (ValueError, KeyError, TypeError):
        raise refused(400, "invalid_token", "after_token is not valid") from None
    places = [place for place, row in enumerate(rows) if row["id"] == last]
    if places:
        return places[-1] + 1
    return next((place for place, row in enumerate(rows) if row["id"] > last), len(rows))


async def filters(request: web.Request) -> web.Response:
    """The distinct combinations that one can filter by, as the CLI's table mode asks for them first."""
    names = ("actual_status", "verification", "gpu_name")
    found = {tuple(row[name] for name in names) for row in _rows(request)}
    rows = [dict(zip(names, values, strict=True)) for values in sorted(found, key=str)]
    return answer({"success": True, "filters": rows})
