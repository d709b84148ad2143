"""The data folder of an installation: its lock, its secrets, and the processes that run on it."""

import fcntl
import os
import platform
import secrets
import signal
import time
from pathlib import Path
from typing import IO

from cli.errors import CommandRefused
from cli.private_files import read_json, write_private_json
from cli.up.processes import group_is_alive, kill_group, start_mark

LEFTOVER_SECONDS = 5.0


class Folder:
    """Everything that `dumont up` keeps; held by one supervisor at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs = path / "logs"
        self.addresses = path / "addresses.json"
        self.ports = path / "ports.json"
        self._processes = path / "processes.json"
        self._lock: IO[str] | None = None

    def make(self) -> None:
        """Makes the folder where it is not there yet."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.logs.mkdir(mode=0o700, exist_ok=True)

    def lock(self) -> None:
        """Takes the folder until this process ends; makes it where it is not there yet."""
        self.make()
        lock = (self.path / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandRefused(
                f"`dumont up` already runs on {self.path} (process {self.owner()}). "
                "Stop it with `dumont down`, or start another installation with --data-dir and --port-base."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def owner(self) -> int | None:
        """The supervisor that holds the folder, or held it last."""
        try:
            return int((self.path / "lock").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def held(self) -> bool:
        """Whether a supervisor holds the folder now."""
        if not (self.path / "lock").exists():
            return False
        with (self.path / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def secrets(self) -> dict[str, str]:
        """The secrets of this installation, made at its first start."""
        path = self.path / "secrets.json"
        kept = read_json(path)
        if not kept:
            if (self.path / "postgres").exists():
                raise CommandRefused(f"{path} is missing, and without it the database cannot be opened. Put it back.")
            kept = {"secret_keys": secrets.token_urlsafe(48), "postgres_password": secrets.token_urlsafe(24)}
            write_private_json(path, kept)
        return kept

    def home(self) -> str:
        """Names this folder on this computer; a copy of it has another name, wherever it is."""
        machine = Path("/etc/machine-id")
        computer = machine.read_text().strip() if machine.exists() else platform.node()
        return f"{computer}-{self.path.stat().st_ino}"

    def record(self, pids: dict[str, int]) -> None:
        """Notes which processes are ours, so that the next start can tell them from others with the same ids."""
        marks = {name: [pid, start_mark(pid)] for name, pid in pids.items()}
        write_private_json(self._processes, {"home": self.home(), "processes": marks})

    def clear_leftovers(self) -> None:
        """Ends what an earlier supervisor left behind when it was killed."""
        kept = read_json(self._processes)
        # in a copied folder the notes speak of the original's processes
        recorded = kept["processes"].values() if kept.get("home") == self.home() else []
        left = [pid for pid, mark in recorded if mark is not None and start_mark(pid) == mark]
        for pid in left:
            kill_group(pid, signal.SIGINT)
        deadline = time.monotonic() + LEFTOVER_SECONDS
        while any(map(group_is_alive, left)) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in left:
            kill_group(pid, signal.SIGKILL)
