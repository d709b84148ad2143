"""The counts as Prometheus text. Endpoints go by id: their paths are as good as keys."""

from collections.abc import Iterator
from itertools import accumulate

from gateway.meters import BUCKETS, Meter, Meters


def exposition(meters: Meters, gateway: str, routes: int) -> str:
    """Everything this gateway counted since it started."""
    lines = ["# TYPE dumont_gateway_routes gauge", f'dumont_gateway_routes{{gateway="{gateway}"}} {routes}']
    for name, kind in _KINDS.items():
        lines.append(f"# TYPE {name} {kind}")
        for endpoint_id, meter in meters.by_endpoint.items():
            lines += _SAMPLES[name](name, f'gateway="{gateway}",endpoint="{endpoint_id}"', meter)
    return "\n".join([*lines, ""])


def _in_flight(name: str, labels: str, meter: Meter) -> Iterator[str]:
    yield f"{name}{{{labels}}} {meter.in_flight}"


def _requests(name: str, labels: str, meter: Meter) -> Iterator[str]:
    for status, count in sorted(meter.by_status.items()):
        yield f'{name}{{{labels},status="{status}"}} {count}'


def _seconds(name: str, labels: str, meter: Meter) -> Iterator[str]:
    bounds = [*(f"{bound:g}" for bound in BUCKETS), "+Inf"]
    for bound, count in zip(bounds, accumulate(meter.buckets), strict=True):
        yield f'{name}_bucket{{{labels},le="{bound}"}} {count}'
    yield f"{name}_sum{{{labels}}} {meter.seconds:.6f}"
    yield f"{name}_count{{{labels}}} {sum(meter.buckets)}"


_KINDS = {
    "dumont_gateway_in_flight": "gauge",
    "dumont_gateway_requests_total": "counter",
    "dumont_gateway_request_seconds": "histogram",
}
_SAMPLES = dict(zip(_KINDS, (_in_flight, _requests, _seconds), strict=True))
