"""The container as the cloud made it: which boot this is, its address and ports, its own key at the cloud.

The cloud puts these into the environment of PID 1; a login shell does not have them.
"""

from __future__ import annotations

import os

from machine.agent.settings import Platform


def environment() -> dict[str, str]:
    """PID 1's; empty where it may not be read."""
    try:
        with open("/proc/1/environ", "rb") as file:
            pairs = file.read().split(b"\0")
    except OSError:
        return {}
    return dict(pair.decode(errors="replace").partition("=")[::2] for pair in pairs if b"=" in pair)


def ports(of: dict[str, str], platform: Platform) -> dict[str, int]:
    """Ports of the machine and where they are reached, such as {"22/tcp": 40022}."""
    found = {}
    for kind in ("tcp", "udp") if platform.ports else ():
        before, _, after = platform.ports.replace("{kind}", kind.upper()).partition("{port}")
        for name, value in of.items():
            inner = name[len(before) : len(name) - len(after)]
            if name == before + inner + after and inner.isdigit() and value.isdigit():
                is_wish = 0 < platform.wishes_from <= int(inner)
                found[f"{value if is_wish else inner}/{kind}"] = int(value)
    return found


def boot_id() -> str:
    """Differs from one start of the container to the next: the host's boot, and when PID 1 began after it."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            host = file.read().strip()
    except OSError:
        host = ""
    return f"{host}-{_start_of_pid_1()}"


def boot_age() -> float:
    """Seconds since the container was started."""
    with open("/proc/uptime") as file:
        up = float(file.read().split()[0])
    return max(0.0, up - _start_of_pid_1() / os.sysconf("SC_CLK_TCK"))


def _start_of_pid_1() -> int:
    """In ticks of the host's clock."""
    return int(stat_of(1)[1][19])


def stat_of(pid: int) -> tuple[str, list[str]]:
    """/proc/PID/stat: the program's name, which may have spaces and brackets in it, and the fields after it."""
    with open(f"/proc/{pid}/stat", errors="replace") as file:
        head, _, tail = file.read().rpartition(")")
    return head.partition("(")[2], tail.split()
