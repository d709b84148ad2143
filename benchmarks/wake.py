"""Waking: from the moment that the machine's SSH server answers to the first byte of its user's command; and by REST.

A whole installation, an instance that is paused and woken again and again, the ordinary OpenSSH client.
"""

import asyncio
import socket
import subprocess
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.figures import Figure
from benchmarks.system import logged_in, running
from domain.workflow_contracts import SIGNAL_SEEN, machine_workflow_id
from settings import Settings
from workflow_client.client import connect

RUNS = 20
LIMIT_SSH, LIMIT_API = 500, 300


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name, running(Path(name) / "data") as addresses:
        bench = Bench(Path(name), addresses)
        by_ssh = [bench.by_ssh() for _ in range(RUNS)]
        by_api = [bench.by_api() for _ in range(RUNS)]
    served, whole = zip(*by_ssh, strict=True)
    known, answered = zip(*by_api, strict=True)
    return [
        Figure("sshd answers → first byte, woken by SSH (simulated boot not included)", served, LIMIT_SSH),
        Figure("ssh typed → first byte, paused before (simulated start included)", whole),
        Figure("agent's first call → known running, woken by REST", known, LIMIT_API),
        Figure("POST wake → its answer (simulated start included)", answered),
    ]


class Bench:
    """One instance, and the ways to wake it."""

    def __init__(self, folder: Path, addresses: dict[str, Any]) -> None:
        self.api = logged_in(addresses)
        self._database = addresses["database"].replace("+psycopg", "")
        self._temporal = addresses["temporal"]
        key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)  # noqa: S603, S607
        public = Path(f"{key}.pub").read_text().strip()
        body = {"gpu_type": "RTX 4090", "ssh_public_keys": [public], "idle_pause_minutes": 60}
        made = self.api.post("/instances", json=body).raise_for_status().json()
        self.id = made["id"]
        known = folder / "known"
        known.write_text(f"[{made['ssh_host']}]:{made['ssh_port']} {made['ssh_host_key']}\n")
        strict = ["-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes"]
        port = str(made["ssh_port"])
        self._ssh = ["ssh", "-F", "none", "-i", str(key), *strict, "-p", port, f"root@{made['ssh_host']}", "echo here"]
        self._until("running")

    def by_ssh(self) -> tuple[float, float]:
        """Milliseconds from the SSH server's first word, and from the typed command, to the first byte."""
        self._pause()
        answering = Answering(self._direct)
        began = time.monotonic()
        with subprocess.Popen(self._ssh, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as ssh:  # noqa: S603
            answering.start()
            if ssh.stdout is None or not ssh.stdout.read(1):
                raise RuntimeError("nothing came")
            first = time.monotonic()
        answering.join()
        return 1000 * (first - answering.at), 1000 * (first - began)

    def by_api(self) -> tuple[float, float]:
        """Milliseconds from the agent's first call to the row that says running, and of the whole request."""
        self._pause()
        began = time.monotonic()
        self.api.post(f"/instances/{self.id}/wake").raise_for_status()
        answered = time.monotonic()
        events = self.api.get(f"/instances/{self.id}/events").json()["events"]
        known = next(datetime.fromisoformat(each["at"]) for each in events if each["kind"] == "running")
        called = self._first_call()
        return 1000 * (known - called).total_seconds(), 1000 * (answered - began)

    def _first_call(self) -> datetime:
        """When the machine's flow first heard that it is up again: the agent's call, which comes before any listing."""
        with psycopg.connect(self._database) as database:
            row = database.execute("SELECT lease_id FROM instances WHERE id = %s", [self.id]).fetchone()
        return asyncio.run(first_word(self._temporal, machine_workflow_id(row[0] if row else "")))

    def _pause(self) -> None:
        running = self._until("running")
        self._direct = (running["direct"]["host"], running["direct"]["ssh_port"])
        self.api.post(f"/instances/{self.id}/pause").raise_for_status()
        self._until("paused")

    def _until(self, status: str) -> dict[str, Any]:
        while True:
            shown: dict[str, Any] = self.api.get(f"/instances/{self.id}").raise_for_status().json()
            if shown["status"] == status and (status != "running" or shown["direct"]):
                return shown
            if shown["status"] == "failed":
                raise RuntimeError(shown["message"])
            time.sleep(0.05)


async def first_word(address: str, workflow_id: str) -> datetime:
    """The first `seen` after the last start was asked for."""
    temporal = await connect(Settings(temporal_address=address))
    history = await temporal.get_workflow_handle(workflow_id).fetch_history()
    heard: list[datetime] = []
    for event in history.events:
        if event.activity_task_scheduled_event_attributes.activity_type.name == "switch_on":
            heard.clear()
        signal = event.workflow_execution_signaled_event_attributes
        if signal.signal_name == SIGNAL_SEEN and b'"state":"up"' in signal.input.payloads[0].data:
            heard.append(event.event_time.ToDatetime(UTC))
    return heard[0]


class Answering(threading.Thread):
    """Notes when the machine's SSH server first says its name."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(daemon=True)
        self._address = address
        self.at = 0.0

    def run(self) -> None:
        while True:
            try:
                with socket.create_connection(self._address, timeout=1) as connection:
                    if connection.recv(4) == b"SSH-":
                        self.at = time.monotonic()
                        return
            except OSError:
                time.sleep(0.002)
