"""What the api needs around it, as real processes under the supervisor: PostgreSQL, Temporal, the simulated cloud."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

READY_SECONDS = 40.0


class Surroundings:
    """`dumont up` without the parts that the tests run themselves, or do not want: api, worker, gateway."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "data"
        without = [word for part in ("api", "worker", "gateway") for word in ("--without", part)]
        command = [sys.executable, "-m", "cli", "up", "--data-dir", str(self.folder), "--port-base", "0", "--quiet"]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DUMONT_")}
        self._process = subprocess.Popen([*command, *without], env=clean, cwd=Path(__file__).parents[2])

    def wait(self) -> dict[str, Any]:
        """The addresses, once everything is ready."""
        deadline, file = time.monotonic() + READY_SECONDS, self.folder / "addresses.json"
        while not file.exists():
            assert self._process.poll() is None, "the supervisor ended"
            assert time.monotonic() < deadline, "not ready in time"
            time.sleep(0.05)
        addresses: dict[str, Any] = json.loads(file.read_text())
        return addresses

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)
