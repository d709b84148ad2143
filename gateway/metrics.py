"""What a gateway counts beside its requests (`http/meters.py`): routes, and its SSH side."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.routes import RouteTable
from gateway.ssh.service import SshService

disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the number of series


class GatewayCollector(Collector):
    """Reads its numbers from their owners at each scrape."""

    def __init__(self, gateway: str, table: RouteTable, ssh: SshService) -> None:
        self._gateway = gateway
        self._gauges: dict[str, Callable[[], int]] = {
            "dumont_gateway_routes": lambda: len(table),
            "dumont_gateway_ssh_instances": lambda: len(ssh.table.instances),
            "dumont_gateway_ssh_ports": lambda: len(ssh.listeners),
            "dumont_gateway_ssh_connections": lambda: len(ssh.clients),
            "dumont_gateway_ssh_held": lambda: ssh.connector.held,
        }
        self._counters: dict[str, Callable[[], int]] = {
            "dumont_gateway_ssh_logins": lambda: ssh.preauth_limits.logins,
            "dumont_gateway_ssh_strangers": lambda: ssh.preauth_limits.strangers,
            "dumont_gateway_ssh_turned_away": lambda: ssh.preauth_limits.turned_away,
            "dumont_gateway_ssh_wakes": lambda: ssh.connector.wakes,
        }

    def collect(self) -> list[Metric]:
        found: list[Metric] = []
        for name, read in self._gauges.items():
            gauge = GaugeMetricFamily(name, _MEANINGS[name], labels=["gateway"])
            gauge.add_metric([self._gateway], read())
            found.append(gauge)
        for name, read in self._counters.items():
            counter = CounterMetricFamily(name, _MEANINGS[name], labels=["gateway"])
            counter.add_metric([self._gateway], read())
            found.append(counter)
        return found


_MEANINGS = {
    "dumont_gateway_routes": "Endpoints that this gateway knows.",
    "dumont_gateway_ssh_instances": "Instances with an SSH address here.",
    "dumont_gateway_ssh_ports": "SSH ports that listen.",
    "dumont_gateway_ssh_connections": "SSH clients that are logged in.",
    "dumont_gateway_ssh_held": "Logins that wait for a machine.",
    "dumont_gateway_ssh_logins": "Logins.",
    "dumont_gateway_ssh_strangers": "Connections that ended without a login.",
    "dumont_gateway_ssh_turned_away": "Connections closed before a byte was said.",
    "dumont_gateway_ssh_wakes": "Wakes that logins asked for.",
}


def register(registry: CollectorRegistry, gateway: str, table: RouteTable, ssh: SshService) -> None:
    """Have a registry report this gateway and its process."""
    registry.register(GatewayCollector(gateway, table, ssh))
    ProcessCollector(registry=registry)
