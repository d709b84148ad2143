"""Whose turn it is at a cloud: one limiter for all our processes, by the limits that the cloud publishes."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from db.machines.rate_limits import push_back, take_slot
from db.session import Database


@dataclass(frozen=True)
class ApiQuota:
    """What an account may ask of one endpoint, or of several that the cloud counts together under this name."""

    name: str
    spacing: float
    """Seconds between two requests."""
    burst: int = 1
    """How many may come at once."""
    penalty: float = 0.0
    """Seconds for which the endpoint is left alone after a "too often" without a time."""


class Urgency(Enum):
    """Who goes first at a shared endpoint: destroying and renting, then what moves, then sweeps.

    The value is how many spacings the endpoint has to lie idle before such a request may take it.
    """

    HIGH = 0.0
    MOVING = 0.25
    SWEEP = 1.0


class RateLimits:
    """`pace`: scale of all published times; 1 for a live service."""

    def __init__(self, database: Database, pace: float) -> None:
        self._database = database
        self._pace = pace

    async def seconds_to_wait(
        self, account_id: int, quota: ApiQuota, urgency: Urgency = Urgency.HIGH, attempt: int = 1
    ) -> float:
        """Take the account's turn at an endpoint; 0.0 when it is ours now.

        The less urgent leave the endpoint idle for a moment first, in which the more urgent get in; from try to try
        they insist more, so that nobody waits for ever.
        """
        spacing = timedelta(seconds=quota.spacing * self._pace)
        idle = spacing * urgency.value / max(1, attempt)
        async with self._database.begin() as session:
            return await take_slot(session, account_id, quota.name, spacing, quota.burst, idle)

    async def slow_down(self, account_id: int, quota: ApiQuota, retry_after: float | None) -> float:
        """The cloud was asked too often: the endpoint is left alone for a while, by all of us. Returns the seconds."""
        pause = timedelta(seconds=quota.penalty * self._pace if retry_after is None else retry_after)
        async with self._database.begin() as session:
            await push_back(session, account_id, quota.name, pause)
        return pause.total_seconds()
