"""The processes of this machine and what each has used so far, from /proc."""

from __future__ import annotations

import os
from typing import NamedTuple, Tuple

from machine.agent.container import stat_of
from machine.agent.settings import HOME

Key = Tuple[int, int]
"""A process by its number and its start: numbers are used again."""

TICKS = os.sysconf("SC_CLK_TCK")
MARK = b"DUMONT_OURS=1"
"""In the environment of what the control plane runs here: copies, snapshots, probes."""
INTERPRETERS = ("python", "bash", "sh", "perl", "node", "ruby", "java", "Rscript")
SSH_SERVERS = ("sshd", "sshd-session", "sshd-auth", "dropbear")


class Process(NamedTuple):
    """`cpu` in seconds, `disk` in bytes; both count children that have ended."""

    pid: int
    name: str
    cpu: float
    disk: int


class Processes:
    """Reads /proc repeatedly. What program a process runs is read once, since it rarely changes."""

    def __init__(self) -> None:
        self._names: dict[tuple[Key, str], str] = {}
        """Empty for what is not the user's work."""

    def look(self) -> dict[Key, Process]:
        """Every process that could be the user's work. One that ends while we look is left out."""
        found, names = {}, {}
        for pid in numbers():
            try:
                program, fields = stat_of(pid)
                key = (pid, int(fields[19]))
                name = names[key, program] = self._name(key, program)
                if name:
                    found[key] = Process(pid, name, _cpu(pid, fields), _disk(pid))
            except (OSError, ValueError, IndexError):
                continue
        self._names = names
        return found

    def _name(self, key: Key, program: str) -> str:
        known = self._names.get((key, program))
        if known is not None:
            return known
        return name_of(key[0]) if is_work(key[0]) else ""


def numbers() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def is_work(pid: int) -> bool:
    """Whether this may be a user's program: not ours, not the machine's SSH server, not the kernel's."""
    words = _words(pid)
    if pid == os.getpid() or not words or stat_of(pid)[0] in SSH_SERVERS:
        return False
    if any(word.startswith(HOME + "/") for word in words[:4]):
        return False
    with open(f"/proc/{pid}/environ", "rb") as file:
        return MARK not in file.read().split(b"\0")


def name_of(pid: int) -> str:
    """The program and, of an interpreter, its script. Never more of the command line: it may hold a password."""
    words = _words(pid)
    program = os.path.basename(words[0]) if words else stat_of(pid)[0]
    shown = [program]
    if program.startswith(INTERPRETERS):
        rest = words[1:]
        if rest[:1] == ["-m"]:
            shown += rest[:2]
        elif rest and not rest[0].startswith("-"):
            shown.append(os.path.basename(rest[0]))
    return " ".join(shown)[:80]


def owners(inodes: frozenset[int]) -> dict[int, set[int]]:
    """Which processes hold which of these sockets: {pid: inodes}. Reads every open file of the machine."""
    found: dict[int, set[int]] = {}
    for pid in numbers():
        try:
            held = {_socket(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")} & inodes
        except OSError:
            continue
        if held:
            found[pid] = held
    return found


def _socket(link: str) -> int:
    try:
        target = os.readlink(link)
    except OSError:
        return 0
    return int(target[8:-1]) if target.startswith("socket:[") else 0


def _cpu(pid: int, fields: list[str]) -> float:
    """PID 1 also inherits the children of others, so of it only its own time counts."""
    own = int(fields[11]) + int(fields[12])
    of_children = 0 if pid == 1 else int(fields[13]) + int(fields[14])
    return (own + of_children) / TICKS


def _disk(pid: int) -> int:
    """Bytes fetched from and sent to disks. 0 where the kernel does not let us see."""
    if pid == 1:
        return 0
    try:
        with open(f"/proc/{pid}/io") as file:
            lines = dict(line.split(": ") for line in file.read().splitlines())
    except OSError:
        return 0
    return int(lines["read_bytes"]) + int(lines["write_bytes"])


def _words(pid: int) -> list[str]:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return [word.decode(errors="replace") for word in file.read().split(b"\0") if word]
