"""What a wake tried, how long it took, and what it cost: one report, shown to who waits and kept with the instance."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel


class WakeMethod(StrEnum):
    RESUME = "resume"
    """The same machine, its disk as it was."""
    RESTORE = "restore"
    """Another machine, and the files from a snapshot."""


class WakeTry(BaseModel):
    what: str
    worked: bool
    reason: str = ""


class WakeReport(BaseModel):
    """`seconds`: from the wish until it ran, or was given up. `cost_usd`: of the machines rented for it, until then."""

    by: str
    began_at: datetime
    ended_at: datetime
    seconds: float
    worked: bool
    method: WakeMethod | None = None
    tries: list[WakeTry] = []
    cost_usd: float = 0.0
    reason: str = ""
