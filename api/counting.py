"""Request counts and times of this process, in Prometheus' words."""

from bisect import bisect_left
from collections import defaultdict

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RequestCounts:
    """A histogram of seconds per route and method, and a count per status. One event loop writes, so no lock."""

    def __init__(self) -> None:
        self.by_status: dict[tuple[str, str, int], int] = defaultdict(int)
        self._buckets: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * (len(BUCKETS) + 1))
        self._seconds: dict[tuple[str, str], float] = defaultdict(float)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        self.by_status[method, route, status] += 1
        self._buckets[method, route][bisect_left(BUCKETS, seconds)] += 1
        self._seconds[method, route] += seconds

    def lines(self) -> list[str]:
        """Everything seen so far as exposition text."""
        name = "dumont_api_request_seconds"
        found = ["# TYPE dumont_api_requests_total counter"]
        for (method, route, status), seen in self.by_status.items():
            found.append(f'dumont_api_requests_total{{method="{method}",route="{route}",status="{status}"}} {seen}')
        found.append(f"# TYPE {name} histogram")
        for (method, route), counts in self._buckets.items():
            labels, total = f'method="{method}",route="{route}"', 0
            for edge, seen in zip((*BUCKETS, "+Inf"), counts, strict=True):
                total += seen
                found.append(f'{name}_bucket{{{labels},le="{edge}"}} {total}')
            found.append(f"{name}_sum{{{labels}}} {self._seconds[method, route]:.6f}")
            found.append(f"{name}_count{{{labels}}} {total}")
        return found


requests_seen = RequestCounts()
