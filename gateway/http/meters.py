"""What goes through each endpoint, counted in memory: how much is in flight, how many came, how long they took."""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway.http.errors import Code, Refusal

MAX_IN_FLIGHT = 1024
"""Requests of one endpoint at a time; more are refused."""

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of the histogram's buckets, in seconds."""


@dataclass
class Meter:
    """One endpoint's counts. `last_at`: when a request last began or ended, on the monotonic clock."""

    in_flight: int = 0
    last_at: float = 0.0
    by_status: Counter[int] = field(default_factory=Counter)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0


@dataclass
class Passage:
    """One request under way. 499: the caller left before there was an answer."""

    status: int = 499


class Meters:
    """The counts of all endpoints. What pauses an endpoint reads `in_flight` and `last_at` here, after draining it."""

    def __init__(self) -> None:
        self.by_endpoint: dict[str, Meter] = {}

    @contextmanager
    def counting(self, endpoint_id: str) -> Iterator[Passage]:
        """Count one request, from its admission to the last byte of its answer.

        Raises:
            Refusal: 429 when too many are in flight.
        """
        meter = self.by_endpoint.setdefault(endpoint_id, Meter())
        if meter.in_flight >= MAX_IN_FLIGHT:
            raise Refusal(429, Code.BUSY, "Too many requests are in flight on this endpoint.", retry_after=1)
        passage, began = Passage(), time.monotonic()
        meter.in_flight, meter.last_at = meter.in_flight + 1, began
        try:
            yield passage
        except Refusal as refusal:
            passage.status = refusal.status
            raise
        finally:
            meter.in_flight, meter.last_at = meter.in_flight - 1, time.monotonic()
            meter.by_status[passage.status] += 1
            meter.seconds += meter.last_at - began
            meter.buckets[bisect_left(BUCKETS, meter.last_at - began)] += 1

    def keep_only(self, endpoint_ids: set[str]) -> None:
        """Forget closed endpoints once nothing of theirs is in flight."""
        self.by_endpoint = {
            key: meter for key, meter in self.by_endpoint.items() if key in endpoint_ids or meter.in_flight
        }
