"""The machine's memory, load, disk and network, as far as the container may see them."""

from __future__ import annotations

import os
from typing import Any

CGROUP_MEMORY = (
    ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.max"),
    ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Of the container, in both kinds of cgroups: (used, limit). /proc/meminfo is the whole host's."""


def look() -> dict[str, Any]:
    """Bytes, but for `load`."""
    return {"memory": _memory(), "load": list(os.getloadavg()), "disk": _disk(), "network": _network()}


def _memory() -> dict[str, int | None]:
    with open("/proc/meminfo") as file:
        sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in file}
    host = {"used": sizes["MemTotal"] - sizes.get("MemAvailable", 0), "total": sizes["MemTotal"]}
    for used, limit in CGROUP_MEMORY:
        own = _count(used)
        if own is not None:
            most = _count(limit)
            return {"used": own, "total": min(most or host["total"], host["total"])}
    return {"used": host["used"], "total": host["total"]}


def _count(path: str) -> int | None:
    try:
        with open(path) as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def _disk() -> dict[str, int]:
    """Of the disk that the workspace lies on."""
    found = os.statvfs("/workspace" if os.path.isdir("/workspace") else "/")
    return {"used": (found.f_blocks - found.f_bfree) * found.f_frsize, "total": found.f_blocks * found.f_frsize}


def _network() -> dict[str, int]:
    """Since the machine's start, without its own loopback."""
    received = sent = 0
    with open("/proc/net/dev") as file:
        for line in file.readlines()[2:]:
            name, _, numbers = line.partition(":")
            if name.strip() != "lo":
                fields = numbers.split()
                received, sent = received + int(fields[0]), sent + int(fields[8])
    return {"received": received, "sent": sent}
