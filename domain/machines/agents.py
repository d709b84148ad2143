"""What a machine's agent says, and what of it counts. Everything comes from a stranger's computer."""

from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, StringConstraints

GPU_ACTIVE = 5.0
"""Percent from which a GPU counts as in use. The agent gets it with its settings."""

UNWATCHED = timedelta(seconds=15)
"""A gap in the agent's watch that is let pass: its restart takes a second or two."""

Word = Annotated[str, StringConstraints(max_length=300)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]
Port = Annotated[int, Field(ge=1, le=65535)]


def _highest(value: Any) -> Any:
    """One load for all GPUs: the highest."""
    if isinstance(value, list) and value and all(isinstance(each, int | float) for each in value):
        return max(value)
    return value


Percent = Annotated[float, Field(ge=0, le=100), BeforeValidator(_highest)]
Column = Annotated[list[float | None], Field(max_length=64)]


class GpuMetrics(BaseModel):
    """Percent, MB, degrees Celsius; one entry a GPU. `error`: the last look failed, since `unknown_seconds`."""

    utilization: Percent | None = None
    gpu_names: list[Word] = Field(default=[], max_length=64)
    gpu_memory_used: Column = []
    gpu_memory_total: Column = []
    gpu_temperatures: Column = []
    error: Word = ""
    unknown_seconds: Seconds = 0.0


class Work(BaseModel):
    """A program of the user's that was busy, with the reason in words."""

    pid: int = 0
    command: Word = ""
    reason: Word = ""


class Session(BaseModel):
    terminal: Word
    idle_seconds: float


class Amount(BaseModel):
    """Bytes."""

    used: int | None = None
    total: int | None = None


class Transferred(BaseModel):
    """Bytes since the machine's start."""

    received: int = 0
    sent: int = 0


class AgentStatus(BaseModel):
    """One report. `agent`, `instance_id` and `timestamp` are claims and are not used; the token says whose it is."""

    agent: Word = ""
    version: Word = ""
    instance_id: int | Word | None = None
    status: Word = ""
    timestamp: Word | None = None
    boot_id: Word = ""
    uptime: float | None = None
    public_ipaddr: Word | None = None
    ports: dict[Word, Port] = Field(default={}, max_length=200)
    gpu_utilization: Percent | None = None
    gpu_metrics: GpuMetrics | None = None
    memory: Amount | None = None
    load: list[float] = Field(default=[], max_length=3)
    disk: Amount | None = None
    network: Transferred | None = None
    sessions: list[Session] = Field(default=[], max_length=200)
    busy: list[Work] | None = Field(default=None, max_length=200)
    """None: it was not said."""
    observed_seconds: Seconds = 0.0
    """For how long before this report it has watched without a gap, at most since its last report that arrived."""
    keep_awake_seconds: Seconds | None = None

    @property
    def gpu_load(self) -> float | None:
        """Percent; None: not known."""
        return self.gpu_metrics.utilization if self.gpu_metrics is not None else self.gpu_utilization

    @property
    def gpu_unknown(self) -> timedelta:
        """For how long nobody can tell what the GPUs do."""
        return timedelta(seconds=self.gpu_metrics.unknown_seconds if self.gpu_metrics is not None else 0)

    def kept_awake_until(self, at: datetime) -> datetime | None:
        """By the file on the machine, for a report that came at this time."""
        return None if self.keep_awake_seconds is None else at + timedelta(seconds=self.keep_awake_seconds)

    def address(self) -> tuple[str, dict[str, int]] | None:
        """The machine's own address and ports, if it knows them."""
        host = (self.public_ipaddr or "").strip()
        try:
            ip_address(host)
        except ValueError:
            return None
        return (host, self.ports) if "22/tcp" in self.ports else None


def why_active(status: AgentStatus, gap: timedelta | None) -> str:
    """What works on the machine, in words; empty: nothing.

    `gap`: since the report before; None: there was none. Time that nobody watched counts as work.
    """
    if status.busy:
        return "; ".join(f"{each.command} {each.reason}" for each in status.busy[:3])
    if (load := status.gpu_load) is not None and load >= GPU_ACTIVE:
        return f"the GPU is {load:.0f} % busy"
    if status.busy is None:
        return "the agent does not say what the machine's processes do"
    if gap is None:
        return "the agent has just begun to watch"
    if gap - timedelta(seconds=status.observed_seconds) > UNWATCHED:
        return f"nobody watched it for {gap.total_seconds():.0f} s"
    return ""


def latest(*times: datetime | None) -> datetime | None:
    """The latest of those that are known."""
    return max((each for each in times if each is not None), default=None)
