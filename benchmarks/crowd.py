"""Fifty machines booting at once, at the live service's own limits: how often we ask, and whether we are ever told off.

Takes some five minutes: rents are 4.5 s apart by the published limit (clouds.md A6), as with the live service.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.deploy import BODY
from benchmarks.figures import Count
from benchmarks.system import logged_in, running

MACHINES = 50
WATCHED_SECONDS = 60.0
SETTINGS = """
DUMONT_CLOUD_PACE=1
DUMONT_WATCH_SECONDS=1
DUMONT_SETTLE_SECONDS=20
DUMONT_SWEEP_SECONDS=15
DUMONT_DEFAULT_MAX_GPUS=100
"""
BOOT = {"clocks": {"loading": [400, 420]}, "rate_limit_scale": 1.0}


def measure() -> list[Count]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".env").write_text(SETTINGS)
        with running(Path(folder) / "data") as addresses:
            simulator = httpx.Client(base_url=addresses["simulator"], timeout=30)
            simulator.patch("/simulator/settings", json=BOOT).raise_for_status()
            began, ids = _deploy_all(addresses, simulator)
            booting_at = time.time()
            time.sleep(WATCHED_SECONDS)
            asked = [row for row in _requests(simulator, began) if row["time"] >= booting_at]
            everything = _requests(simulator, began)
            api = logged_in(addresses)
            for each in ids:
                api.delete(f"/models/{each}").raise_for_status()
    lists = sum("/api/v1/instances/" in row["path"] for row in asked)
    return [
        Count(f"listings in a minute while {len(ids)} machines boot", lists, 60),
        Count("all requests in that minute", len(asked)),
        Count("answers 429 from first to last", sum(row["status"] == 429 for row in everything), 0),
        Count("rents asked for", sum(row["method"] == "PUT" and "/asks/" in row["path"] for row in everything)),
    ]


def _deploy_all(addresses: dict[str, Any], simulator: httpx.Client) -> tuple[float, list[str]]:
    """Start all of them, and wait until every one has its machine."""
    api, began = logged_in(addresses), time.time()
    api.put("/settings", json={"settings": {"spending_cap_per_day": 5000}}).raise_for_status()
    ids = [_deploy(api) for _ in range(MACHINES)]
    while sum(row["alive"] for row in simulator.get("/simulator/books").json()["machines"]) < MACHINES:
        time.sleep(1)
    return began, ids


def _deploy(api: httpx.Client) -> str:
    """Any GPU will do: there are not fifty of one kind in the market."""
    body = {"model_type": "llm", "model_id": BODY["model_id"], "max_price": 20.0}
    answer = api.post("/models/deploy", json=body)
    if not answer.is_success:
        raise RuntimeError(f"refused: {answer.text}")
    return str(answer.json()["id"])


def _requests(simulator: httpx.Client, since: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = simulator.get("/simulator/requests", params={"since": since}).json()["requests"]
    return rows
