"""Looks at the machine at every interval, and keeps what it saw until a report of it has arrived."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from machine.agent import VERSION, awake, container, gpus, machine, processes, sockets, terminals, work
from machine.agent.processes import Key, Process
from machine.agent.settings import Settings
from machine.agent.work import Work

MOST_TOLD, MOST_KEPT = 10, 50


class Look(NamedTuple):
    at: float
    processes: dict[Key, Process]
    traffic: dict[int, int]
    typed: dict[str, float]


class Watcher:
    """Times are `time.monotonic()`: clocks of rented machines jump."""

    def __init__(self, settings: Settings) -> None:
        self._instance_id, self._platform = settings.instance_id, settings.platform
        self._gpu_active = settings.gpu_active
        self._boot = container.boot_id()
        self._processes = processes.Processes()
        self._last = self._glance()
        self._heard_at = self._gpu_known_at = self.active_at = time.monotonic()
        self._seen: dict[str, Work] = {}
        self._smi = gpus.Gpus()
        self._gpus: dict[str, Any] = {}

    def look(self) -> None:
        """Note what has worked since the last look. Work that lasts, or whose parent saw it end, is not missed."""
        before, now = self._last, self._glance()
        self._last = now
        found = work.busy(before.processes, now.processes, now.at - before.at) + self._networking(before, now)
        found += [Work(0, f"pts/{name}", "somebody typed") for name in terminals.typing(before.typed, now.typed)]
        self._look_at_gpus()
        if found or self._gpus.get("utilization", 0.0) >= self._gpu_active:
            self.active_at = now.at
        for each in found:
            self._seen.pop(each.command, None)
            self._seen[each.command] = each
        self._seen = dict(list(self._seen.items())[-MOST_KEPT:])

    def report(self) -> dict[str, Any]:
        """Everything since the last report that arrived (`AgentStatus` in domain/machines/agents.py reads it)."""
        here, now = container.environment(), time.time()
        told = list(self._seen.values())[-MOST_TOLD:]
        return {
            "agent": "dumont",
            "version": VERSION,
            "instance_id": self._instance_id,
            "status": "busy" if told else "idle",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
            "boot_id": self._boot,
            "uptime": container.boot_age(),
            "public_ipaddr": here.get(self._platform.address, "").strip() or None,
            "ports": container.ports(here, self._platform),
            "gpu_metrics": self._gpus or {"error": "not looked yet", "unknown_seconds": 0.0},
            "sessions": terminals.sessions(now),
            "busy": [each._asdict() for each in told],
            "observed_seconds": self._last.at - self._heard_at,
            "keep_awake_seconds": awake.seconds_left(now),
            **machine.look(),
        }

    def heard(self) -> None:
        """The last report has arrived: the next one begins here."""
        self._heard_at = self._last.at
        self._seen.clear()
        self._gpus = {}

    def idle_seconds(self) -> float:
        """For how long nothing has worked here, nobody typed, and nobody asked to be kept awake."""
        if awake.seconds_left(time.time()) is not None:
            self.active_at = time.monotonic()
        return time.monotonic() - self.active_at

    def _glance(self) -> Look:
        return Look(time.monotonic(), self._processes.look(), sockets.traffic(), terminals.typed())

    def _networking(self, before: Look, now: Look) -> list[Work]:
        """Programs that used the network. Their open files are read only when there was traffic."""
        seconds, moved = now.at - before.at, work.moved(before.traffic, now.traffic)
        if not work.is_traffic(sum(moved.values()), seconds):
            return []
        found = []
        for pid, inodes in processes.owners(frozenset(moved)).items():
            count = sum(moved[inode] for inode in inodes)
            if work.is_traffic(count, seconds) and _is_work(pid):
                reason = f"moved {work.rate(count, seconds)} over the network"
                found.append(Work(pid, processes.name_of(pid), reason))
        return found

    def _look_at_gpus(self) -> None:
        """Keep the highest load since the last report that arrived. A look that fails does not erase it."""
        now, seen, highest = time.monotonic(), self._smi.look(), self._gpus.get("utilization")
        if "error" in seen:
            self._gpus = {**self._gpus, "error": seen["error"], "unknown_seconds": now - self._gpu_known_at}
            return
        self._gpu_known_at = now
        self._gpus = {**seen, "utilization": _highest(seen["utilization"], highest)}


def _highest(now: float, before: float | None) -> float:
    return now if before is None else max(now, before)


def _is_work(pid: int) -> bool:
    try:
        return processes.is_work(pid)
    except OSError:
        return False
