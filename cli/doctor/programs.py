"""The programs that Dumont Cloud is made of or calls."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

from cli.doctor.result import CheckResult, blocks, good, missing, note
from cli.errors import Refused
from cli.places import ROOT
from cli.up import postgres, temporal
from clients import rclone

REINSTALL = "make install"
PIN = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+)(?: ; (.+?))? \\$", re.MULTILINE)
NEEDED_FOR = {"ssh": "opening a shell on an instance", "rsync": "copies to the standby", "restic": "snapshots"}
DEBIAN = {"ssh": "openssh-client"}
MINIMUM_PYTHON = (3, 11)


def programs() -> Iterator[CheckResult]:
    """All of them."""
    yield python()
    yield in_step_with_lock()
    yield found("PostgreSQL", lambda: str(postgres.program("postgres")))
    yield found("Temporal", temporal.program)
    yield found("rclone", rclone_program)
    yield from (tool(name, use) for name, use in NEEDED_FOR.items())


def python() -> CheckResult:
    """The interpreter's version."""
    seen = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < MINIMUM_PYTHON:
        return blocks("Python", seen, f"install Python 3.11 or later, remove .venv, {REINSTALL}")
    return good("Python", seen)


def in_step_with_lock() -> CheckResult:
    """Whether the packages are those that the lock names."""
    pins = PIN.findall((ROOT / "requirements.lock").read_text())
    wrong = [name for name, wanted, only_where in pins if not only_where and installed(name) != wanted]
    if not wrong:
        return good("packages", f"{len(pins)} as in requirements.lock")
    return blocks("packages", f"not as in requirements.lock: {', '.join(wrong[:5])}", REINSTALL)


def installed(name: str) -> str | None:
    """The package's version here."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def found(what: str, program: Callable[[], str]) -> CheckResult:
    """A program of a wheel, and whether it runs."""
    try:
        command = [program(), "--version"]
    except Refused as refused:
        return blocks(what, str(refused), REINSTALL)
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own wheels
    if ran.returncode != 0:
        return blocks(what, f"does not run here: {ran.stderr.strip()[:200]}", "see the requirements in README.md")
    return good(what, ran.stdout.strip().partition("\n")[0])


def rclone_program() -> str:
    """For the vault.

    Raises:
        Refused: it is not here.
    """
    try:
        return rclone.program()
    except rclone.RcloneFailed as error:
        raise Refused(str(error)) from error


def tool(name: str, use: str) -> CheckResult:
    """A program of the system that no wheel ships."""
    path = shutil.which(name)
    return good(name, path) if path else missing(name, f"not here; needed for {use}", install_command(name))


def install_command(name: str) -> str:
    """What to type on this platform."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    if shutil.which("apt-get"):
        return f"{sudo}apt-get install {DEBIAN.get(name, name)}"
    if shutil.which("brew") or sys.platform == "darwin":
        return f"brew install {DEBIAN.get(name, name).replace('-client', '')}"
    if shutil.which("dnf"):
        return f"{sudo}dnf install {DEBIAN.get(name, name).replace('client', 'clients')}"
    return f"install {name} with your system's package manager"


def namespaces() -> Iterator[CheckResult]:
    """What lets PostgreSQL run for root, and gives a simulated machine a root folder of its own."""
    if not sys.platform.startswith("linux"):
        yield note("namespaces", "none on this system; simulated machines share its files")
        return
    yield server_user()
    mount = ["--user", "--map-root-user", "--mount"] if os.geteuid() != 0 else ["--mount"]
    if shutil.which("unshare") and runs("unshare", *mount, "true"):
        yield good("mount namespaces", "simulated machines get a root folder of their own")
    else:
        yield note("mount namespaces", "refused; simulated machines share the system's files")


def server_user() -> CheckResult:
    """As whom PostgreSQL would run."""
    try:
        how = postgres.unprivileged()
    except Refused as refused:
        return blocks("database user", str(refused), "see there")
    who = {"--namespace": "in a user namespace", "--uid": "as the user nobody"}
    return good("database user", who[how[0]] if how else "as you")


def runs(command: str, *arguments: str) -> bool:
    """Whether it succeeds."""
    path = shutil.which(command) or command
    ran = subprocess.run([path, *arguments], capture_output=True, check=False)  # noqa: S603 - fixed words
    return ran.returncode == 0
