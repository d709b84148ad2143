"""The machine's folder: its root tree, what the platform puts there, and wiping it."""

import json
import os
import shlex
import shutil
from collections import deque
from dataclasses import asdict
from pathlib import Path

from simulator.machines.spec import MachineSpec

# The host's system folders that a machine shares, under the image's layers; everything else of the host stays unseen.
SYSTEM_FOLDERS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix", "gnu")
OWN_FOLDERS = ("root", "root/.ssh", "workspace", "var/log", "var/lib", "var/cache", "var/tmp", "home", "mnt", "media",
               "srv", "opt", "proc", "sys", "dev", "etc", "usr", "run/simulator", "run/sshd", "tmp")  # fmt: skip
BASHRC = """\
# ~/.bashrc of a simulated machine
case $- in *i*) ;; *) return ;; esac
PS1='\\u@\\h:\\w\\$ '
if [ -z "$TMUX" ] && [ -n "$SSH_CONNECTION" ] && [ ! -e ~/.no_auto_tmux ] && command -v tmux > /dev/null; then
    exec tmux new-session -A -s ssh_tmux
fi
"""
PROFILE = '[ -n "$BASH_VERSION" ] && [ -f ~/.bashrc ] && . ~/.bashrc\n'
MOST_LINKS = 40
MARKER = "# put here by the platform"


def resolve(root: Path, name: str) -> Path:
    """The file that ``/name`` means in the machine: links are followed as a program there would follow them, so that
    somebody's ``/root/.ssh -> /workspace/.ssh`` never leads us to the computer's own ``/workspace``."""
    here, parts, hops = root, deque(Path(name).parts), 0
    while parts:
        step = _step(root, here, parts.popleft())
        if not step.is_symlink() or hops > MOST_LINKS:
            here = step
            continue
        hops += 1
        parts.extendleft(reversed(Path(os.readlink(step)).parts))
    return here


def _step(root: Path, here: Path, part: str) -> Path:
    if part == "/":
        return root
    if part == "..":
        return root if here == root else here.parent
    return here / part


def lay_out(root: Path, spec: MachineSpec) -> None:
    """Everything that does not change from one start to the next; keeps what is there."""
    for name in OWN_FOLDERS:
        resolve(root, name).mkdir(parents=True, exist_ok=True)
    for shared in ("tmp", "var/tmp"):
        resolve(root, shared).chmod(0o1777)
    for home in ("root", "root/.ssh"):
        resolve(root, home).chmod(0o700)
    if not os.path.lexists(root / "var/run"):
        (root / "var/run").symlink_to("/run")
    _write_once(resolve(root, "root/.bashrc"), BASHRC if spec.auto_tmux else BASHRC.split("if [", maxsplit=1)[0])
    _write_once(resolve(root, "root/.profile"), PROFILE)


def link_system_folders(root: Path) -> list[str]:
    """Follow the host's layout (``/bin`` is often a link to ``usr/bin``); the folders to lay an overlay over."""
    real = []
    for name in SYSTEM_FOLDERS:
        host, ours = Path("/") / name, root / name
        if host.is_symlink():
            if not os.path.lexists(ours):
                ours.symlink_to(os.readlink(host))
        elif host.is_dir():
            ours.mkdir(exist_ok=True)
            real.append(name)
    return real


def write_start_files(root: Path, spec: MachineSpec) -> None:
    """What the platform writes before every start (clouds: on-instance conventions of Vast's base image)."""
    onstart, command = resolve(root, "root/onstart.sh"), resolve(root, "run/simulator/command")
    for old in (onstart, command):
        old.unlink(missing_ok=True)
    if spec.command:
        command.write_text(shlex.join(spec.command) + "\n")
    elif spec.onstart:
        onstart.write_text(spec.onstart + "\n")
        onstart.chmod(0o755)
    if spec.ssh:
        resolve(root, ".launch").write_text(
            "#!/bin/sh\n# Launch script of a simulated machine: its SSH server is outside.\n"
        )
    resolve(root, "root/hasbooted").touch()
    write_authorized_keys(root, spec.authorized_keys)
    write_gpu(root, spec, utilization=0.0, memory_used_mb=0)


def write_authorized_keys(root: Path, keys: list[str], *, only: bool = False) -> None:
    """Put the platform's keys first and keep the lines that somebody else added (``only``: drop them)."""
    file = resolve(root, "root/.ssh/authorized_keys")
    old = file.read_text(errors="replace").splitlines() if file.exists() else []
    kept = [line for line in old if line.strip() and not line.endswith(MARKER) and line not in keys and not only]
    file.write_text("".join(f"{line}\n" for line in [*(f"{key} {MARKER}" for key in keys), *kept]))
    file.chmod(0o600)


def write_gpu(root: Path, spec: MachineSpec, utilization: float, memory_used_mb: int) -> None:
    """What nvidia-smi reads; utilisation in percent, memory in MB over all GPUs together."""
    state = {**asdict(spec.gpu), "utilization": utilization, "memory_used_mb": memory_used_mb, "host": spec.id}
    file = resolve(root, "run/simulator/gpu.json")
    file.with_suffix(".new").write_text(json.dumps(state))
    file.with_suffix(".new").replace(file)


def wipe(folder: Path) -> None:
    """Delete all files of a machine. Overlay leaves folders without permissions behind: open them first."""
    for path, names, _ in os.walk(folder):
        for name in names:
            inner = os.path.join(path, name)
            if not os.path.islink(inner) and os.stat(inner).st_mode & 0o700 != 0o700:
                os.chmod(inner, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _write_once(file: Path, text: str) -> None:
    if not file.exists():
        file.write_text(text)
