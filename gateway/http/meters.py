"""Counts of each endpoint's requests, in memory: in flight, answered, and how long they took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.http.errors import Code, HttpRefusal

MAX_IN_FLIGHT = 1024
"""Requests of one endpoint at a time; more are refused."""

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of the histogram's buckets, in seconds."""


@dataclass
class Meter:
    """One endpoint now. `last_at`: when a request last began or ended, on the monotonic clock."""

    in_flight: int = 0
    last_at: float = 0.0


@dataclass
class Passage:
    """One request under way. 499: the caller left before there was an answer."""

    status: int = 499


class Meters:
    """The counts of all endpoints. What pauses an endpoint reads `in_flight` and `last_at` here, after draining it.

    Metrics name endpoints by id: their paths are as good as keys.
    """

    def __init__(self, registry: CollectorRegistry, gateway: str) -> None:
        self.by_endpoint: dict[str, Meter] = {}
        self._gateway = gateway
        labels = ["gateway", "endpoint"]
        self._in_flight = Gauge("dumont_gateway_in_flight", "Requests under way.", labels, registry=registry)
        self._requests = Counter(
            "dumont_gateway_requests", "Answers; 499: the caller left first.", [*labels, "status"], registry=registry
        )
        self._seconds = Histogram(
            "dumont_gateway_request_seconds",
            "From a request's admission to the last byte of its answer.",
            labels,
            buckets=BUCKETS,
            registry=registry,
        )

    @contextmanager
    def measuring(self, endpoint_id: str) -> Iterator[Passage]:
        """Count one request, from its admission to the last byte of its answer.

        Raises:
            HttpRefusal: 429 when too many are in flight.
        """
        meter = self.by_endpoint.setdefault(endpoint_id, Meter())
        if meter.in_flight >= MAX_IN_FLIGHT:
            raise HttpRefusal(429, Code.BUSY, "Too many requests are in flight on this endpoint.", retry_after=1)
        passage, began = Passage(), time.monotonic()
        self._change(endpoint_id, meter, +1, began)
        try:
            yield passage
        except HttpRefusal as refusal:
            passage.status = refusal.status
            raise
        finally:
            ended = time.monotonic()
            self._change(endpoint_id, meter, -1, ended)
            self._requests.labels(self._gateway, endpoint_id, passage.status).inc()
            self._seconds.labels(self._gateway, endpoint_id).observe(ended - began)

    def _change(self, endpoint_id: str, meter: Meter, by: int, now: float) -> None:
        meter.in_flight, meter.last_at = meter.in_flight + by, now
        self._in_flight.labels(self._gateway, endpoint_id).set(meter.in_flight)

    def keep_only(self, endpoint_ids: set[str]) -> None:
        """Forget closed endpoints once nothing of theirs is in flight."""
        for endpoint_id, meter in list(self.by_endpoint.items()):
            if endpoint_id not in endpoint_ids and not meter.in_flight:
                del self.by_endpoint[endpoint_id]
                for metric in (self._in_flight, self._requests, self._seconds):
                    metric.remove_by_labels({"gateway": self._gateway, "endpoint": endpoint_id})
