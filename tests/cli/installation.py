"""An installation under test: the real supervisor with real processes, on a folder of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg

from cli.places import ROOT
from cli.up.ports import DEFAULTS
from cli.up.processes import LINUX
from tests.patience import PATIENCE_SECONDS
from tests.ports import PortBlock


class Installation:
    """`dumont up` in a process of its own. With a `database_url` it uses that instead of a PostgreSQL of its own."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        environment: dict[str, str] | None = None,
        database_url: str | None = None,
    ) -> None:
        self.folder = folder
        self.options = options
        self.environment = environment or {}
        if database_url is not None:
            self.options = (*options, "--without=postgres")
            self.environment = {**self.environment, "DUMONT_DATABASE_URL": database_url}
        self.process: subprocess.Popen[str] | None = None
        self.ports = PortBlock()
        """Its own at every start: with others that start now, and their instances, it has none in common."""

    def start(self) -> dict[str, Any]:
        """Starts it and returns its addresses once it is ready."""
        command = [sys.executable, "-P", "-m", "cli", "up", "--data-dir", str(self.folder)]
        if not any(option.startswith("--port-base") for option in self.options):
            command += ["--port-base", str(self.ports.first)]
        own = {name: value for name, value in os.environ.items() if not name.startswith("DUMONT_")}
        ssh_ports = {"DUMONT_SSH_PORTS": f"{self.ports.first + len(DEFAULTS)}-{self.ports.last}"}
        self.process = subprocess.Popen(
            [*command, "--quiet", *self.options],
            env={**own, **ssh_ports, **self.environment, "PYTHONPATH": str(ROOT)},
            cwd=self.folder.parent,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self.await_addresses()

    def await_addresses(self) -> dict[str, Any]:
        """The addresses, as soon as this start has written them; a killed one leaves its own behind."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        assert self.process is not None
        while (found := self._written()) is None or found["pids"]["supervisor"] != self.process.pid:
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < deadline, "not ready in time"
            time.sleep(0.02)
        return found

    def _written(self) -> dict[str, Any] | None:
        """The addresses, unless nobody has written any; a start takes away what the one before left."""
        with contextlib.suppress(FileNotFoundError):
            return self.read()
        return None

    @property
    def addresses(self) -> Path:
        """Where the addresses are written."""
        return self.folder / "addresses.json"

    def read(self) -> dict[str, Any]:
        """The addresses as they are now."""
        value: dict[str, Any] = json.loads(self.addresses.read_text())
        return value

    def await_new_pid(self, name: str, old: int) -> int:
        """The process that has taken the place of the old one, once the addresses tell of it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (now := (self._written() or {"pids": {}})["pids"].get(name)) in (None, old):
            assert time.monotonic() < deadline, f"{name} was not started again"
            time.sleep(0.05)
        return int(now)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it and returns its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def kill_everything(self) -> None:
        """kill -9 of the supervisor and all its processes."""
        for pid in self.read()["pids"].values():
            with contextlib.suppress(ProcessLookupError):  # with its supervisor gone, a process ends by itself
                os.kill(pid, signal.SIGKILL)
        assert self.process is not None
        self.process.wait(PATIENCE_SECONDS)

    def left(self) -> list[str]:
        """The command lines of the processes that still work on the folder (Linux)."""
        if not LINUX:
            return []
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if str(self.folder) in line:
                found.append(line)
        return found


def await_none_left(installation: Installation, seconds: float = PATIENCE_SECONDS) -> None:
    """No process of the installation is left, at the latest after so long."""
    deadline = time.monotonic() + seconds
    while left := installation.left():
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def await_database(url: str, seconds: float = PATIENCE_SECONDS) -> None:
    """The database lets us in, at the latest after so long."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return
