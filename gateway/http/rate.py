"""Token buckets, in memory: how often somebody may ask."""

import time
from collections.abc import Hashable


class Bucket:
    """Refills at `rate` tokens per second up to `burst`."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = time.monotonic()

    def take(self, now: float) -> float:
        """Take one token: 0.0 when there was one, else the seconds until there will be."""
        self._refill(now)
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._rate

    def give_back(self) -> None:
        """The token was not spent after all."""
        self._tokens = min(self._burst, self._tokens + 1.0)

    def is_full(self, now: float) -> bool:
        self._refill(now)
        return self._tokens >= self._burst

    def _refill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now


class Buckets:
    """One bucket per key. Full ones are forgotten when there are many: a full bucket and none are the same."""

    def __init__(self, rate: float, burst: float, *, kept: int = 50_000) -> None:
        self._rate = rate
        self._burst = burst
        self._kept = kept
        self._buckets: dict[Hashable, Bucket] = {}

    def take(self, key: Hashable) -> float:
        """0.0 when the key may go on now, else the seconds to wait."""
        now = time.monotonic()
        bucket = self._buckets.get(key)
        if bucket is None:
            self._make_room(now)
            bucket = self._buckets[key] = Bucket(self._rate, self._burst)
        return bucket.take(now)

    def give_back(self, key: Hashable) -> None:
        """The key's last token was not spent after all."""
        if (bucket := self._buckets.get(key)) is not None:
            bucket.give_back()

    def _make_room(self, now: float) -> None:
        if len(self._buckets) < self._kept:
            return
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if not bucket.is_full(now)}
        if len(self._buckets) >= self._kept:  # that many callers at once: start anew rather than grow
            self._buckets.clear()
