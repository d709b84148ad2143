"""A simulator of its own for the tests that share one, and a way to start more."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import plain_http
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
KEY = "test-key"
# Even faster than fast, and nobody is turned away for asking often.
CLOCKS = {"null": 0.05, "created": 0.05, "loading": [0.1, 0.1], "sshd": 0.03, "stopping": 0.03, "start_lag": 0.03,
          "starting": 0.05, "rebooting": 0.03, "logs": 0.1, "beat": 0.2}  # fmt: skip
HOUR = 3600.0
"""the seconds for which a clock or a fault holds what a test wants to see: it ends when the test says so"""
IN_TESTS = {"rate_limit_scale": 0, "clocks": CLOCKS}


@dataclass
class Simulator:
    """A running ``python -m simulator`` and the two clients that a test talks to it with."""

    folder: Path
    process: subprocess.Popen[bytes]
    url: str
    vast: httpx.Client
    """carries the API key"""
    control: httpx.Client

    def terminate(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def offers(self, gpu: str = "RTX 4090", **filters: Any) -> list[dict[str, Any]]:
        query = {"gpu_name": {"eq": gpu}, "num_gpus": {"eq": 1}, "rentable": {"eq": True}, **filters}
        answer = self.vast.post("/api/v0/bundles/", json={**query, "order": [["dph_total", "asc"]]})
        offers: list[dict[str, Any]] = answer.raise_for_status().json()["offers"]
        return offers

    def rent(self, gpu: str = "RTX 4090", **body: Any) -> int:
        wish = {"image": "ubuntu:22.04", "disk": 10, "runtype": "ssh_direc ssh_proxy", **body}
        answer = self.vast.put(f"/api/v0/asks/{self.offers(gpu)[0]['id']}/", json=wish)
        return int(answer.raise_for_status().json()["new_contract"])

    def show(self, number: int) -> dict[str, Any]:
        row: dict[str, Any] = self.vast.get(f"/api/v0/instances/{number}/").json()["instances"] or {}
        return row

    def await_status(self, number: int, status: str | None) -> dict[str, Any]:
        row: dict[str, Any] = poll(lambda: (row := self.show(number)).get("actual_status") == status and row)
        return row

    def await_boot(self, number: int, after: float) -> dict[str, Any]:
        """Its row once it runs, booted after this time: what it is before that can pass between two looks."""
        row: dict[str, Any] = poll(lambda: self._booted(number, after))
        return row

    def _booted(self, number: int, after: float) -> dict[str, Any] | None:
        asked = time.time()
        row = self.show(number)
        return row if row["actual_status"] == "running" and asked - row["uptime_mins"] * 60 > after else None

    def book(self, number: int) -> dict[str, Any]:
        books = self.control.get("/simulator/books").json()["machines"]
        found: dict[str, Any] = next((row for row in books if row["id"] == number), {})
        return found

    def charged(self, number: int) -> dict[str, float]:
        """What the account was charged for it so far, by what for."""
        rows = self.vast.get("/api/v0/charges/").raise_for_status().json()["results"]
        items = next(row["items"] for row in rows if row["id"] == number)
        return {item["type"]: item["amount"] for item in items}

    def fault(self, endpoint: str, fault: str, **more: Any) -> int:
        answer = self.control.post("/simulator/faults", json={"endpoint": endpoint, "fault": fault, **more})
        return int(answer.raise_for_status().json()["id"])

    @contextlib.contextmanager
    def under(self, endpoint: str, fault: str, **more: Any) -> Iterator[int]:
        """With this fault set until the end; what it holds back then goes on."""
        number = self.fault(endpoint, fault, **more)
        try:
            yield number
        finally:
            self.control.delete(f"/simulator/faults/{number}").raise_for_status()

    def fired(self, fault: int) -> int:
        faults = self.control.get("/simulator/faults").json()["faults"]
        return next(int(one["fired"]) for one in faults if one["id"] == fault)


def poll(look: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """What ``look`` gives once it gives something true; fails the test after the deadline."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"nothing came within {seconds} s; last: {found!r}")
        time.sleep(0.02)
    return found


@contextlib.contextmanager
def running(folder: Path, *extra: str, command: list[str] | None = None) -> Iterator[Simulator]:
    """A simulator on a free port, with the clocks above; ended at the end, whatever happened."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder.parent / f"{folder.name}.log"
    argv = [*(command or [sys.executable]), "-m", "simulator", "--data-dir", str(folder), "--port", "0", *extra]
    with log.open("ab") as out:
        start = log.stat().st_size
        process = subprocess.Popen(argv, cwd=ROOT, env={**os.environ, "SIMULATOR_API_KEY": KEY}, stdout=out, stderr=out)
    try:
        url = poll(lambda: _address(log, start, process))
        with (
            plain_http.Client(base_url=url, headers={"Authorization": f"Bearer {KEY}"}, timeout=120) as vast,
            plain_http.Client(base_url=url, timeout=120) as control,
        ):
            control.patch("/simulator/settings", json=IN_TESTS).raise_for_status()
            yield Simulator(folder, process, url, vast, control)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _address(log: Path, start: int, process: subprocess.Popen[bytes]) -> str | None:
    text = log.read_bytes()[start:].decode()
    if process.poll() is not None:
        pytest.fail(f"the simulator ended at once:\n{text}")
    line = next((line for line in text.splitlines() if "simulated Vast.ai on " in line), None)
    return line.split("simulated Vast.ai on ")[1].split()[0] if line else None


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """One simulator for all the tests that leave it as they found it; its folder has a space in its path."""
    with running(tmp_path_factory.mktemp("a folder") / "data") as simulator:
        yield simulator


@pytest.fixture
def simulator(shared: Simulator) -> Iterator[Simulator]:
    """The shared one, empty."""
    defaults = shared.control.get("/simulator/info").json()["settings"]
    yield shared
    shared.control.patch("/simulator/settings", json=defaults).raise_for_status()  # first: the new market stands still
    shared.control.post("/simulator/reset").raise_for_status()


@dataclass
class Key:
    file: Path
    public: str


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    file = tmp_path_factory.mktemp("key") / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    return Key(file, file.with_suffix(".pub").read_text().strip())
