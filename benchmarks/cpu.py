"""CPU-seconds of the processes of an installation, read from /proc."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """The fields after the command's name, which may hold anything. Empty: it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            found.setdefault(int(fields[1]), []).append(int(entry.name))
    return found


def tree_of(pid: int) -> set[int]:
    """The process and all below it."""
    children, found, waiting = _children(), set[int](), [pid]
    while waiting:
        each = waiting.pop()
        found.add(each)
        waiting += children.get(each, [])
    return found


def seconds_of(pids: Iterable[int], *, of_children: bool = True) -> float:
    """What they have used so far, and what their ended children used.

    The scheduler's own account: the clock ticks of /proc/pid/stat miss a process that sleeps between them.
    """
    return sum(
        _scheduled(pid) + of_children * sum(map(int, fields[13:15])) / TICKS for pid in pids if (fields := _stat(pid))
    )


def _scheduled(pid: int) -> float:
    """CPU-seconds of its threads."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):
            total += int(thread.read_text().split()[0])
    return total / 1e9


class Usage:
    """CPU-seconds by name, since the last call of `taken`."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._last = self._read()

    def _read(self) -> dict[str, float]:
        trees = {name: tree_of(pid) for name, pid in self._pids.items()}
        supervised = set[int]().union(*(tree for name, tree in trees.items() if name != "supervisor"))
        if "supervisor" in trees:  # its tree has all the others in it, which are counted under their own names
            trees["supervisor"] -= supervised
        # the ended children of the supervisor are those of simulated machines, which it adopts
        return {name: seconds_of(tree, of_children=name != "supervisor") for name, tree in trees.items()}

    def taken(self) -> dict[str, float]:
        now, before = self._read(), self._last
        self._last = now
        return {name: max(0.0, now[name] - before.get(name, 0.0)) for name in now}
