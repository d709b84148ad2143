"""Jobs from outside: what we add to the cloud's boot and the script's own time, and how late a line is seen.

The script says itself when it ended, and when it printed a line: its machine's clock is this computer's.
"""

import json
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from benchmarks.figures import Count, Figure
from benchmarks.system import logged_in, running

RUNS = 15
LINES = 40
CROWD = 30
BODY = {"name": "measured", "gpu_type": "RTX 4090", "disk_size": 20, "timeout_minutes": 10}
SETTINGS = "DUMONT_DEFAULT_MAX_GPUS=100\nDUMONT_DEFAULT_SPENDING_CAP_PER_DAY=5000\n"
ENDS = "sleep 1; date +%s.%N"


def measure() -> list[Figure | Count]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".env").write_text(SETTINGS)
        with running(Path(folder) / "data") as addresses:
            api, simulator = logged_in(addresses), httpx.Client(base_url=addresses["simulator"], timeout=30)
            _one(api, simulator)  # the first job of a process imports and connects
            rows = [_one(api, simulator) for _ in range(RUNS)]
            lags = list(_lags(api))
            crowd = _crowd(api)
    overhead, asked, gone, total = zip(*rows, strict=True)
    return [
        Figure("one-second job: total less boot, script and the cloud's destroy", overhead, 1500),
        Figure("script's end → destroy request at the cloud", asked, 1000),
        Figure("gone at the cloud → job over", gone, 2000),
        Figure("one-second job: total", total),
        Figure("a line printed → seen in the stream", lags, 300),
        Count(f"{CROWD} jobs of a second at once: seconds in all", round(crowd)),
    ]


def _run(api: httpx.Client, script: str) -> str:
    return str(api.post("/jobs", json=BODY | {"script": script}).raise_for_status().json()["id"])


def _over(api: httpx.Client, job_id: str) -> dict[str, Any]:
    while (job := api.get(f"/jobs/{job_id}").json())["status"] not in ("completed", "failed", "timeout", "cancelled"):
        time.sleep(0.01)
    if job["status"] != "completed":
        raise RuntimeError(f"a job ended {job['status']}: {job['error_message']}")
    found: dict[str, Any] = job
    return found


def _one(api: httpx.Client, simulator: httpx.Client) -> tuple[float, float, float, float]:
    began = time.time()
    with ThreadPoolExecutor(1) as beside:
        life = beside.submit(_life, simulator, began)
        job_id = _run(api, ENDS)
        _over(api, job_id)
        over = time.time()
        rented, up, gone = life.result()
    ended = float(api.get(f"/jobs/{job_id}/output").json()["stdout"])
    destroy = _request(simulator, "DELETE", ended)
    overhead = (over - began) - (up - rented) - 1.0 - (gone - destroy)
    return overhead * 1000, (destroy - ended) * 1000, (over - gone) * 1000, (over - began) * 1000


def _life(simulator: httpx.Client, since: float) -> tuple[float, float, float]:
    """When the cloud's own books first have the machine, call it running, and have it no more."""
    rented = up = 0.0
    while True:
        mine = [row for row in simulator.get("/simulator/books").json()["machines"] if row["created_at"] >= since]
        now = time.time()
        rented = rented or (now if mine else 0.0)
        up = up or (now if any(row["status"] == "running" for row in mine) else 0.0)
        if rented and not any(row["alive"] for row in mine):
            return rented, up, now
        time.sleep(0.01)


def _request(simulator: httpx.Client, method: str, since: float) -> float:
    rows: list[dict[str, Any]] = simulator.get("/simulator/requests", params={"since": since}).json()["requests"]
    return min(float(row["time"]) for row in rows if row["method"] == method and row["time"] >= since)


def _lags(api: httpx.Client) -> Iterator[float]:
    job_id = _run(api, f"for i in $(seq {LINES}); do date +%s.%N; sleep 0.37; done")
    with api.stream("GET", f"/jobs/{job_id}/output", params={"follow": "true"}) as answer:
        for line in answer.iter_lines():
            data = json.loads(line[6:]) if line.startswith("data: ") else {}
            for printed in data.get("text", "").split():
                yield (time.time() - float(printed)) * 1000
            if "text" not in data and data.get("status") == "completed":
                return


def _crowd(api: httpx.Client) -> float:
    began = time.time()
    with ThreadPoolExecutor(10) as many:
        ids = list(many.map(lambda _: _run(api, ENDS), range(CROWD)))
    for job_id in ids:
        _over(api, job_id)
    return time.time() - began
