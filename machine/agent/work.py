"""What counts as work: pure decisions over two looks at the machine. docs/agent.md has the table."""

from __future__ import annotations

from typing import NamedTuple

from machine.agent.processes import Key, Process

CPU_SHARE, CPU_LEAST = 0.10, 0.2
"""Of one core, and seconds in all: an idle model server or notebook server stays below."""
DISK_RATE, DISK_LEAST = 64 * 1024, 256 * 1024
NET_RATE, NET_LEAST = 16 * 1024, 64 * 1024
"""Bytes a second, and bytes in all: keepalives and log lines stay below."""
TOGETHER = 2
"""So many times one process's share of a core is work too when all of them use it together."""


class Work(NamedTuple):
    """Something that happens on the machine, with its reason in words. `pid` 0: not one process."""

    pid: int
    command: str
    reason: str


def busy(before: dict[Key, Process], after: dict[Key, Process], seconds: float) -> list[Work]:
    """Who used CPU or disk between two looks, the busiest first. Who is new counts from its start."""
    found, total = [], 0.0
    for key, now in after.items():
        old = before.get(key)
        cpu = max(0.0, now.cpu - (old.cpu if old else 0.0))
        disk = max(0, now.disk - (old.disk if old else 0))
        total += cpu
        if cpu >= max(CPU_SHARE * seconds, CPU_LEAST):
            found.append((cpu, Work(now.pid, now.name, f"used {percent(cpu, seconds)} of a core")))
        elif disk >= max(DISK_RATE * seconds, DISK_LEAST):
            found.append((0.0, Work(now.pid, now.name, f"read or wrote {rate(disk, seconds)} on disk")))
    if not found and total >= TOGETHER * max(CPU_SHARE * seconds, CPU_LEAST):
        found.append((total, Work(0, "many processes", f"used {percent(total, seconds)} of a core together")))
    return [work for _, work in sorted(found, key=lambda each: -each[0])]


def moved(before: dict[int, int], after: dict[int, int]) -> dict[int, int]:
    """Bytes through each connection since the last look. A number that fell is another connection's by now."""
    grown = {inode: count - before.get(inode, 0) for inode, count in after.items()}
    return {inode: after[inode] if more < 0 else more for inode, more in grown.items() if more}


def is_traffic(count: int, seconds: float) -> bool:
    return count >= max(NET_RATE * seconds, NET_LEAST)


def percent(cpu: float, seconds: float) -> str:
    return f"{100 * cpu / max(seconds, 0.01):.0f} %"


def rate(count: int, seconds: float) -> str:
    return f"{count / max(seconds, 0.01) / 1024:.0f} KB/s"
