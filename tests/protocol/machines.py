"""Model machines: they boot, run, stop, hold files, run jobs and model servers, and let us in while they are up."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

BOOT = timedelta(seconds=4)


@dataclass
class JobRun:
    """A job's runner at work. `ended`: by what, once it was told to end."""

    began: datetime
    seconds: float
    ended: str | None = None


@dataclass
class Copying:
    """A transfer under way on the machine: it goes on whether anybody follows it or not. `version`: as in the vault."""

    began: datetime
    version: float | None
    restic_id: str


@dataclass
class Machine:
    """`wrote`: how new its files are, as a number that grows by one for every second that somebody works on it."""

    id: int
    account: int
    offer: int
    label: str
    made_at: datetime
    is_strange: bool = False
    """Made by hand, not by a request of ours."""
    boots: bool = True
    exits: bool = False
    is_stopped: bool = False
    is_gone: bool = False
    gpu_taken: bool = False
    """Somebody else rents its GPU while it is stopped."""
    start_queued: bool = False
    is_cut_off: bool = False
    """The cloud says that it runs, and nobody gets in."""
    writes_on: bool = False
    """A program on it does not end when it is told to."""
    wrote: float = 0.0
    in_use_since: datetime | None = None
    jobs: dict[str, JobRun] = field(default_factory=dict)
    copies: dict[str, Copying] = field(default_factory=dict)
    serves_since: datetime | None = None
    holds_back_files: int = 0
    """So many times its job's files cannot be packed."""

    @property
    def host(self) -> str:
        return f"10.0.{self.id // 256}.{self.id % 256}"

    @property
    def host_key(self) -> str:
        return f"host key of {self.id}"

    def row(self, now: datetime) -> dict[str, Any]:
        """As the cloud tells of it."""
        status = "loading" if now - self.made_at < BOOT or not self.boots else "running"
        if self.is_stopped or (self.exits and status == "running"):
            status = "exited"
        return {
            "id": self.id,
            "label": self.label or None,
            "machine_id": self.offer,
            "actual_status": status,
            "intended_status": "stopped" if self.is_stopped and not self.start_queued else "running",
            "public_ipaddr": f"{self.host}\n",
            "ports": {"22/tcp": [{"HostPort": "22"}]} if status == "running" else None,
        }

    def is_up(self, now: datetime) -> bool:
        return not self.is_gone and self.row(now)["actual_status"] == "running"

    def lets_in(self, now: datetime) -> bool:
        return self.is_up(now) and not self.is_cut_off

    def version(self, now: datetime) -> float:
        worked = timedelta(0) if self.in_use_since is None else now - self.in_use_since
        return self.wrote + worked.total_seconds()

    def use(self, now: datetime) -> None:
        """Somebody works on it from here on."""
        if self.in_use_since is None and self.is_up(now):
            self.in_use_since = now

    def end_programs(self, now: datetime) -> None:
        if not self.writes_on:
            self._settle(now)

    def _settle(self, now: datetime) -> None:
        self.wrote, self.in_use_since = self.version(now), None

    def put(self, version: float, now: datetime) -> None:
        """These files are on it instead."""
        self._settle(now)
        self.wrote = version

    def stop(self, now: datetime) -> None:
        self._settle(now)
        self.is_stopped, self.start_queued, self.serves_since = True, False, None
        self.copies.clear()

    def start(self, now: datetime) -> bool:
        """False: its GPU is gone; the start waits for it."""
        if self.gpu_taken:
            self.start_queued = True
            return False
        if self.is_stopped:
            self.is_stopped, self.start_queued, self.made_at = False, False, now
        return True
