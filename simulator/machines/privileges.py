"""Whether this computer lets us make machines out of namespaces, and getting there as an ordinary user.

Root may do it as it is. Anybody else runs the whole simulator inside a user namespace where they are root, still on the
host's network: then everything after works the same way. Where neither is allowed (macOS, a locked-down container) the
machines fall back to plain folders.
"""

import logging
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from simulator.machines.files import wipe
from simulator.machines.namespace import missing_tools

logger = logging.getLogger(__name__)
INSIDE = "SIMULATOR_IN_USER_NAMESPACE"
# What a machine needs, tried for real in a scratch folder.
TRIAL = """
set -e
cd "$1"; mkdir -p lower upper work root proc dev/pts
mount -t overlay overlay -o "lowerdir=lower:/usr,upperdir=upper,workdir=work$2" root
touch root/local/x 2>/dev/null || touch root/x
mount -t proc proc proc
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
hostname trial 2>/dev/null || echo trial > /proc/sys/kernel/hostname
"""


@dataclass(frozen=True, slots=True)
class Privileges:
    namespaces: bool
    in_user_namespace: bool


def enter_user_namespace() -> None:
    """As an ordinary user, start again inside a user namespace if that will help; returns where it will not."""
    if sys.platform != "linux" or os.geteuid() == 0 or INSIDE in os.environ or missing_tools():
        return
    prefix = ["unshare", "--user", "--map-root-user", "--mount"]
    scratch = Path(tempfile.mkdtemp(prefix="simulator-trial-"))
    try:
        allowed = _trial([*prefix, "--"], scratch, ",userxattr")
    finally:
        wipe(scratch)
    if allowed:
        command = [*prefix, "--", sys.executable, *sys.orig_argv[1:]]
        os.execvpe(command[0], command, {**os.environ, INSIDE: "1"})  # noqa: S606 (our own interpreter again)


def find_out(folder: Path, unwanted: bool) -> Privileges:
    """Try it once in the data folder, which must be on a file system that overlays can write to."""
    inside = INSIDE in os.environ
    if unwanted or sys.platform != "linux" or os.geteuid() != 0:
        return Privileges(False, inside)
    if tools := missing_tools():
        logger.warning("without %s machines have no namespaces", ", ".join(tools))
        return Privileges(False, inside)
    scratch = Path(tempfile.mkdtemp(prefix="trial-", dir=folder))
    try:
        allowed = _trial([], scratch, ",userxattr" if inside else "")
    finally:
        wipe(scratch)
    return Privileges(allowed, inside)


def _trial(prefix: list[str], scratch: Path, options: str) -> bool:
    unshare = ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child=KILL", "--"]
    command = [*prefix, *unshare, "/bin/sh", "-c", TRIAL, "trial", str(scratch), options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)  # noqa: S603
    if done.returncode:
        logger.warning("namespaces are not allowed here: %s", done.stderr.strip()[-300:])
    return done.returncode == 0
