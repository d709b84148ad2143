"""What each flow costs: CPU-seconds of all our processes and history events, beside a bare workflow of the same minute.

Machines differ by a factor of three from hour to hour, so every figure stands beside a bare one-activity workflow, and
the idle share beside a bare loop that wakes 30 times a second, both measured in the same run.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.bare import bare_worker, start_bare
from benchmarks.cpu import Usage
from benchmarks.figures import Row
from benchmarks.system import logged_in, running
from settings import Settings
from workflow_client.client import connect

RUNS = 5
BARE_RUNS = 60
IDLE_SECONDS = 30.0
LOOK_SECONDS = 0.5
"""Between two looks at a status. Each is answered by the api, and by the workflow while a deploy is under way: it costs
about 10 ms, which are the look's and not the flow's."""
SIMULATED = ("simulator",)
"""Its work is the cloud's and the machines', not ours."""
MODEL = {"model_type": "llm", "model_id": "Qwen/Qwen2.5-0.5B-Instruct", "gpu_type": "RTX 4090", "max_price": 1.0}
JOB = {"name": "cost", "gpu_type": "RTX 4090", "script": "sleep 1", "timeout_minutes": 10}
LOOP = "import time\nwhile True: time.sleep(1 / 30)"
OVER = {"completed", "failed", "timeout", "cancelled", "stopped", "destroyed"}


@dataclass
class Flow:
    """CPU-seconds and events, a value a run."""

    name: str
    cpu: list[float] = field(default_factory=list)
    events: list[int] = field(default_factory=list)


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data") as addresses:
        pids = {name: pid for name, pid in addresses["pids"].items() if name not in SIMULATED}
        measuring = _Measuring(addresses, Usage(pids))
        idle = measuring.idle()
        flows = measuring.flows()
        bare, loop = asyncio.run(_bare(addresses, pids["temporal"])), _bare_loop()
    rows = [Row("a bare one-activity workflow", f"{bare * 1000:.0f} ms CPU")]
    rows += [_row(flow, bare) for flow in flows]
    rows.append(Row("a bare loop that wakes 30 times a second", f"{loop:.2%} of a core"))
    rows += [Row(f"idle: {name}", f"{share:.2%} of a core", f"{share / loop:.1f} x the loop") for name, share in idle]
    return rows


def _row(flow: Flow, bare: float) -> Row:
    cpu = statistics.median(flow.cpu)
    events = f", {round(statistics.median(flow.events))} events" if flow.events else ""
    return Row(flow.name, f"{cpu:.2f} CPU-s{events}", f"{cpu / bare:.0f} x the bare workflow")


class _Measuring:
    def __init__(self, addresses: dict[str, Any], usage: Usage) -> None:
        self._api = logged_in(addresses)
        self._temporal = addresses["temporal"]
        self._usage = usage

    def idle(self) -> list[tuple[str, float]]:
        time.sleep(5)  # what a start leaves behind
        self._usage.taken()
        time.sleep(IDLE_SECONDS)
        found = {name: used / IDLE_SECONDS for name, used in self._usage.taken().items()}
        return [("all", sum(found.values())), *sorted(found.items(), key=lambda each: -each[1])]

    def flows(self) -> list[Flow]:
        deploy, stop, job = Flow("deploy, to ready"), Flow("its stop, to gone"), Flow("a job of one second")
        made, pause, wake = Flow("an instance, to running"), Flow("a pause"), Flow("a wake")
        self._deploy(Flow(""), Flow(""))  # the first of a process imports and connects
        for _ in range(RUNS):
            self._deploy(deploy, stop)
            self._job(job)
        self._instance(made, pause, wake)
        return [deploy, stop, job, made, pause, wake]

    def _deploy(self, deploy: Flow, stop: Flow) -> None:
        self._usage.taken()
        answer = self._post("/models/deploy", MODEL)
        self._await(f"/models/{answer['id']}/status", {"ready", "failed"})
        deploy.cpu.append(self._used())
        deploy.events.append(self._events(answer["instance_id"], answer["workflow_id"]))
        self._usage.taken()
        self._api.post(f"/models/{answer['id']}/stop").raise_for_status()
        self._await(f"/instances/{answer['instance_id']}", {"destroyed", "failed"})
        stop.cpu.append(self._used())

    def _job(self, job: Flow) -> None:
        self._usage.taken()
        answer = self._post("/jobs", JOB)
        over = self._await(f"/jobs/{answer['id']}", OVER)
        job.cpu.append(self._used())
        job.events.append(self._events(over["instance_id"], over["workflow_id"]))

    def _instance(self, made: Flow, pause: Flow, wake: Flow) -> None:
        self._usage.taken()
        number = self._post("/instances", {"gpu_type": "RTX 4090"})["id"]
        self._await(f"/instances/{number}", {"running", "failed"})
        made.cpu.append(self._used())
        made.events.append(self._events(number, ""))
        for _ in range(RUNS):
            time.sleep(2)  # what the agent's first report brings about belongs to the wake before
            before = self._events(number, "")
            self._usage.taken()
            self._api.post(f"/instances/{number}/pause").raise_for_status()
            self._await(f"/instances/{number}", {"paused", "failed"})
            pause.cpu.append(self._used())
            between = self._events(number, "")
            pause.events.append(between - before)
            self._usage.taken()
            self._api.post(f"/instances/{number}/wake").raise_for_status()
            wake.cpu.append(self._used())
            wake.events.append(self._events(number, "") - between)
        self._api.delete(f"/instances/{number}").raise_for_status()

    def _used(self) -> float:
        return sum(self._usage.taken().values())

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = self._api.post(path, json=body).raise_for_status().json()
        return made

    def _await(self, path: str, states: set[str]) -> dict[str, Any]:
        while (found := self._api.get(path).raise_for_status().json())["status"] not in states:
            time.sleep(LOOK_SECONDS)
        if found["status"] == "failed":
            raise RuntimeError(f"{path} failed: {found.get('message')}")
        shown: dict[str, Any] = found
        return shown

    def _events(self, instance_id: int, workflow_id: str) -> int:
        """Of all the flows that served it, less the account's watch, which is everybody's."""
        leases = self._api.get("/leases", params={"all": True, "limit": 1000}).raise_for_status().json()["leases"]
        machines = [f"machine-{each['id']}" for each in leases if each["holder"]["id"] == str(instance_id)]
        names = {f"instance-{instance_id}", *machines, *([workflow_id] if workflow_id else [])}
        return asyncio.run(_count_events(self._temporal, sorted(names)))


async def _count_events(address: str, names: list[str]) -> int:
    temporal = await connect(Settings(temporal_address=address))
    histories = [await temporal.get_workflow_handle(name).fetch_history() for name in names]
    return sum(len(history.events) for history in histories)


async def _bare(addresses: dict[str, Any], server: int) -> float:
    """CPU-seconds of one: the server's, the worker's and the caller's."""
    temporal = await connect(Settings(temporal_address=addresses["temporal"]))
    async with bare_worker(temporal):
        await (await start_bare(temporal, "first")).result()
        usage, began = Usage({"server": server}), time.process_time()
        for number in range(BARE_RUNS):
            await (await start_bare(temporal, str(number))).result()
        return (time.process_time() - began + sum(usage.taken().values())) / BARE_RUNS


def _bare_loop() -> float:
    """The share of a core that such a loop takes."""
    process = subprocess.Popen([sys.executable, "-S", "-c", LOOP])  # noqa: S603 - our own command
    try:
        time.sleep(1)
        usage = Usage({"loop": process.pid})
        time.sleep(10)
        return sum(usage.taken().values()) / 10
    finally:
        process.kill()
        process.wait()
