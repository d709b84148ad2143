"""A whole installation of its own for a measurement, started by the same command as a user's."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parent.parent
READY_SECONDS = 60.0


def start(folder: Path) -> tuple[subprocess.Popen[bytes], dict[str, Any], float]:
    """The process, its addresses, and the seconds that it took to be ready."""
    addresses = folder / "addresses.json"
    began = time.monotonic()
    own = {name: value for name, value in os.environ.items() if not name.startswith("DUMONT_")}
    command = [sys.executable, "-m", "cli", "up", "--data-dir", str(folder), "--port-base", "0", "--quiet"]
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=folder.parent, env=own | {"PYTHONPATH": str(ROOT)}
    )
    while time.monotonic() - began < READY_SECONDS:
        if addresses.exists():
            found: dict[str, Any] = json.loads(addresses.read_text())
            if found["pids"].get("supervisor") == process.pid:
                return process, found, time.monotonic() - began
        time.sleep(0.005)
    raise TimeoutError(f"not ready after {READY_SECONDS:g} s; see {folder / 'logs'}")


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(30)


@contextmanager
def running(folder: Path) -> Iterator[dict[str, Any]]:
    process, addresses, _ = start(folder)
    try:
        yield addresses
    finally:
        stop(process)


def logged_in(addresses: dict[str, Any]) -> httpx.Client:
    """A REST client of the demo user."""
    api = httpx.Client(base_url=addresses["api"] + "/api", timeout=60)
    demo = {"email": "demo@dumont.local", "password": "dumont123"}
    api.headers["Authorization"] = f"Bearer {api.post('/auth/login', json=demo).raise_for_status().json()['token']}"
    return api
