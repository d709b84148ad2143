"""The data folder, its ports, and what runs on it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx

from cli.doctor.result import CheckResult, blocks, good, note
from cli.private_files import read_json
from cli.up.folder import Folder
from cli.up.ports import DEFAULTS, is_free
from cli.up.processes import start_mark

LOW_DISK_GB = 5.0
LEAST_DISK_GB = 0.5
HEALTH = {"api": "/health", "gateway": "/health", "simulator": "/health", "vault": "/health"}


def installation(path: Path) -> Iterator[CheckResult]:
    """All of it."""
    yield writable(path)
    yield disk(path)
    if Folder(path).held():
        yield from running(path)
    else:
        yield note("running", f"nothing on {path}", "dumont up")
        yield from ports(read_json(path / "ports.json") or DEFAULTS)


def writable(path: Path) -> CheckResult:
    """Whether the data folder can be written, or made."""
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    if os.access(there, os.W_OK | os.X_OK):
        return good("data folder", str(path))
    return blocks("data folder", f"{there} cannot be written", "give another with --data-dir")


def disk(path: Path) -> CheckResult:
    """Room for the database, the histories and the logs."""
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    free = shutil.disk_usage(there).free / 1e9
    seen = f"{free:.1f} GB free"
    if free < LEAST_DISK_GB:
        return blocks("disk", seen, f"make room, or give a --data-dir elsewhere ({LEAST_DISK_GB:g} GB at least)")
    return note("disk", seen, "little; logs and histories grow") if free < LOW_DISK_GB else good("disk", seen)


def ports(wanted: dict[str, int]) -> Iterator[CheckResult]:
    """Whether the ports that the next start would take are free."""
    for name, port in wanted.items():
        if is_free(port):
            yield good(f"port {port}", f"free for {name}")
        else:
            yield blocks(f"port {port}", f"taken by another program, wanted for {name}", f"dumont up --{name}-port 0")


def running(path: Path) -> Iterator[CheckResult]:
    """Each process of the installation that runs, and how it is."""
    addresses = read_json(path / "addresses.json")
    if not addresses:
        yield note("running", "starting, or not getting ready", f"look at {path / 'logs'}")
        return
    for name, pid in addresses["pids"].items():
        address = addresses.get(name)
        alive = start_mark(pid) is not None
        yield health(name, pid, f"{address}{HEALTH[name]}") if alive and name in HEALTH else life(name, pid, alive)


def life(name: str, pid: int, alive: bool) -> CheckResult:
    """A process that has no address to ask."""
    return good(name, f"runs (process {pid})") if alive else note(name, f"process {pid} has died; it is restarted")


def health(name: str, pid: int, url: str) -> CheckResult:
    """A process that says how it is."""
    try:
        answer = httpx.get(url, timeout=5, trust_env=False)
    except httpx.HTTPError as error:
        return note(name, f"process {pid} does not answer at {url} ({type(error).__name__})", "look at its log")
    if answer.status_code == httpx.codes.OK:
        return good(name, f"healthy (process {pid})")
    return note(name, f"{answer.status_code} {answer.text[:200]}", "look at its log")
