"""A deploy from outside: how long until the cloud is asked, until an up machine is known, until it is given back."""

import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.figures import Figure
from benchmarks.system import logged_in, running

RUNS = 15
BODY = {"model_type": "llm", "model_id": "Qwen/Qwen2.5-0.5B-Instruct", "gpu_type": "RTX 4090", "max_price": 0.50}


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data") as addresses:
        api, simulator = logged_in(addresses), httpx.Client(base_url=addresses["simulator"], timeout=30)
        _one(api, simulator)  # the first deploy of a process imports and connects
        rows = [_one(api, simulator) for _ in range(RUNS)]
    asked, answered, known, given_back, ready = zip(*rows, strict=True)
    return [
        Figure("deploy call → rent request at the cloud", asked, 100),
        Figure("deploy call → its answer", answered),
        Figure("machine up at the cloud → known to be running", known, 1500),
        Figure("end (DELETE) → destroy request at the cloud", given_back, 1000),
        Figure("deploy call → model ready (simulated boot and load included)", ready),
    ]


def _one(api: httpx.Client, simulator: httpx.Client) -> tuple[float, float, float, float, float]:
    began = time.time()
    deployment = api.post("/models/deploy", json=BODY).raise_for_status().json()
    answered = time.time()
    up = _when_up(simulator, began)
    while (status := api.get(f"/models/{deployment['id']}/status").json()["status"]) == "deploying":
        time.sleep(0.02)
    ready = time.time()
    if status != "ready":
        raise RuntimeError(f"a deploy ended {status}")
    events = api.get(f"/instances/{deployment['instance_id']}/events").json()["events"]
    known = next(datetime.fromisoformat(each["at"]).timestamp() for each in events if each["kind"] == "running")
    ended = time.time()
    api.delete(f"/models/{deployment['id']}").raise_for_status()
    destroyed = _request(simulator, "DELETE", ended)
    while any(machine["alive"] for machine in simulator.get("/simulator/books").json()["machines"]):
        time.sleep(0.02)
    asked = _request(simulator, "PUT /api/v0/asks/", began)
    times = (asked - began, answered - began, known - up, destroyed - ended, ready - began)
    return tuple(1000 * each for each in times)  # type: ignore[return-value]


def _when_up(simulator: httpx.Client, since: float) -> float:
    """The moment at which the cloud's own books first call the machine running."""
    while True:
        machines = simulator.get("/simulator/books").json()["machines"]
        if any(each["alive"] and each["status"] == "running" and each["created_at"] >= since for each in machines):
            return time.time()
        time.sleep(0.01)


def _request(simulator: httpx.Client, what: str, since: float) -> float:
    """When the first such request since then reached the cloud."""
    while True:
        rows: list[dict[str, Any]] = simulator.get("/simulator/requests", params={"since": since}).json()["requests"]
        for row in rows:
            if row["time"] >= since and f"{row['method']} {row['path']}".startswith(what):
                return float(row["time"])
        time.sleep(0.01)
