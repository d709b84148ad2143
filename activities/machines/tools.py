"""Programs that a machine needs and its image may lack: ours is put there if it runs there, else its system's."""

import shutil
from pathlib import Path

from asyncssh import SSHClientConnection

from activities.snapshots.transfer_program import Program
from clients.restic import is_recent
from clients.ssh import CommandTimedOut, Completed, run
from clients.ssh_streams import put

FOLDER = "/var/lib/dumont"
BIN = f"{FOLDER}/bin"
FOUND_BY_USERS = "/usr/local/bin"
SSH_DEADLINE = 15.0
PUT_DEADLINE = 600.0
INSTALL_DEADLINE = 600.0
"""A package index over a slow line."""

_LOOK = """
mkdir -p {bin} && chmod 700 {folder} || exit 1
python3 -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null && echo python
[ -f {folder}/{program} ] && echo program
for restic in restic {bin}/restic; do echo "$restic: $($restic version 2>/dev/null)"; done
true
"""
_INSTALL = """
export DEBIAN_FRONTEND=noninteractive
apt-get -q -y install --no-install-recommends {package} < /dev/null ||
    {{ apt-get -q update && apt-get -q -y install --no-install-recommends {package}; }} < /dev/null
"""


class ToolMissing(Exception):
    """A program is not there and cannot be put there; the text is a sentence."""


async def prepare(connection: SSHClientConnection, program: Program) -> tuple[str, str]:
    """Have the transfer program, a Python for it and restic on the machine: (the program's path, restic's path).

    Safe to call again; what is there is left as it is.

    Raises:
        ToolMissing, and what `clients/ssh.py` raises.
    """
    seen = (await _look(connection, program)).splitlines()
    if "python" not in seen:
        await _install(connection, "python3-minimal", "Python 3.8 or later")
    path = f"{FOLDER}/{program.name}"
    if "program" not in seen:
        await put(connection, program.content, path, timeout=PUT_DEADLINE)
    found = _restic(seen)
    return path, found or await _put_restic(connection)


async def put_rsync(connection: SSHClientConnection) -> str:
    """Have rsync on the machine where `rsync` of a user finds it; its path.

    Raises:
        ToolMissing, and what `clients/ssh.py` raises.
    """
    prepared = f"mkdir -p {BIN} && chmod 700 {FOLDER}; command -v rsync"
    found = await run(connection, prepared, timeout=SSH_DEADLINE)
    if found.exit_code == 0:
        return found.stdout.split()[0]
    if await _put_ours(connection, "rsync", "--version") is not None:
        linked = await run(connection, f"ln -sf {BIN}/rsync {FOUND_BY_USERS}/rsync", timeout=SSH_DEADLINE)
        if linked.exit_code == 0:
            return f"{FOUND_BY_USERS}/rsync"
    await _install(connection, "rsync", "rsync")
    return "rsync"


async def _look(connection: SSHClientConnection, program: Program) -> str:
    command = _LOOK.format(bin=BIN, folder=FOLDER, program=program.name)
    done = await run(connection, command, timeout=SSH_DEADLINE)
    if done.exit_code != 0:
        raise ToolMissing(f"the machine's disk cannot be written: {done.stderr.strip()[-200:]}")
    return done.stdout


def _restic(seen: list[str]) -> str | None:
    for line in seen:
        path, _, version = line.partition(": ")
        if is_recent(version):
            return path
    return None


async def _put_restic(connection: SSHClientConnection) -> str:
    version = await _put_ours(connection, "restic", "version")
    if version is not None and is_recent(version):
        return f"{BIN}/restic"
    await _install(connection, "restic", "restic 0.14 or later")
    version = (await run(connection, "restic version", timeout=SSH_DEADLINE)).stdout
    if not is_recent(version):
        raise ToolMissing(f"restic 0.14 or later is needed on the machine, and its system has: {version.strip()[:80]}")
    return "restic"


async def _put_ours(connection: SSHClientConnection, name: str, version: str) -> str | None:
    """Our own program on the machine, if it runs there; what it says of its version."""
    ours = shutil.which(name)
    if ours is None:
        return None
    await put(connection, Path(ours), f"{BIN}/{name}.tried", timeout=PUT_DEADLINE)
    keep = f"cd {BIN} && ./{name}.tried {version} && mv {name}.tried {name}"
    done = await run(connection, keep, timeout=SSH_DEADLINE)
    return done.stdout if done.exit_code == 0 else None


async def _install(connection: SSHClientConnection, package: str, what: str) -> None:
    try:
        done = await run(connection, _INSTALL.format(package=package), timeout=INSTALL_DEADLINE)
    except CommandTimedOut as error:
        raise ToolMissing(f"{what} is not on the machine, and its package system does not answer") from error
    if done.exit_code != 0:
        raise ToolMissing(f"{what} is not on the machine and cannot be installed there: {_last(done)}")


def _last(done: Completed) -> str:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1][:200] if lines else "no reason given"
