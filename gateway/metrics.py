"""The counts as Prometheus text. Endpoints go by id: their paths are as good as keys."""

from collections.abc import Iterator
from itertools import accumulate

from gateway.http.meters import BUCKETS, Meter, Meters
from gateway.ssh.service import SshSide


def exposition(meters: Meters, gateway: str, routes: int) -> str:
    """Everything this gateway counted since it started."""
    lines = ["# TYPE dumont_gateway_routes gauge", f'dumont_gateway_routes{{gateway="{gateway}"}} {routes}']
    for name, kind in _KINDS.items():
        lines.append(f"# TYPE {name} {kind}")
        for endpoint_id, meter in meters.by_endpoint.items():
            lines += _SAMPLES[name](name, f'gateway="{gateway}",endpoint="{endpoint_id}"', meter)
    return "\n".join([*lines, ""])


def ssh_exposition(ssh: SshSide, gateway: str) -> str:
    """The counts of the SSH side since it started."""
    samples = {
        ("dumont_gateway_ssh_instances", "gauge"): len(ssh.table.instances),
        ("dumont_gateway_ssh_ports", "gauge"): len(ssh.listeners),
        ("dumont_gateway_ssh_connections", "gauge"): len(ssh.hall),
        ("dumont_gateway_ssh_held", "gauge"): ssh.waking.held,
        ("dumont_gateway_ssh_logins_total", "counter"): ssh.newcomers.logins,
        ("dumont_gateway_ssh_strangers_total", "counter"): ssh.newcomers.strangers,
        ("dumont_gateway_ssh_turned_away_total", "counter"): ssh.newcomers.turned_away,
        ("dumont_gateway_ssh_wakes_total", "counter"): ssh.waking.wishes,
    }
    lines = [
        line
        for (name, kind), value in samples.items()
        for line in (f"# TYPE {name} {kind}", f'{name}{{gateway="{gateway}"}} {value}')
    ]
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
