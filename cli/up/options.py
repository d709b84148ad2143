"""The options of `dumont up` that say where its processes listen."""

from collections.abc import Mapping
from dataclasses import dataclass

from cyclopts import Group, Parameter

PORTS = Group("Ports", help="0 takes any free one and keeps it for the next start.", sort_key=1)


@Parameter(name="*", group=PORTS)
@dataclass(frozen=True)
class PortOptions:
    """A port each, or one base for all."""

    port_base: int | None = None
    """N: api on N, gateway N+1, Temporal N+2, its Web UI N+3, simulator N+4, PostgreSQL N+5, vault N+6, SSH N+7;
    instances from N+8 on."""

    api_port: int | None = None
    """[default: 8000]"""

    gateway_port: int | None = None
    """[default: $DUMONT_GATEWAY_PORT or 8080]"""

    temporal_port: int | None = None
    """[default: 7233]"""

    temporal_ui_port: int | None = None
    """[default: 8233]"""

    simulator_port: int | None = None
    """[default: 8090]"""

    postgres_port: int | None = None
    """[default: 54320]"""

    vault_port: int | None = None
    """[default: 8070]"""

    ssh_port: int | None = None
    """The shared SSH port [default: 2222]"""

    ssh_first_port: int | None = None
    """The first of the instances' own SSH ports [default: 22000]"""

    def single(self, given: Mapping[str, str]) -> dict[str, int | None]:
        """The ports that are named one by one, by what listens there; `given` are the user's settings."""
        setting = given.get("DUMONT_GATEWAY_PORT", "")
        return {
            "api": self.api_port,
            "gateway": int(setting) if self.gateway_port is None and setting.isdigit() else self.gateway_port,
            "temporal": self.temporal_port,
            "temporal-ui": self.temporal_ui_port,
            "simulator": self.simulator_port,
            "postgres": self.postgres_port,
            "vault": self.vault_port,
            "ssh": self.ssh_port,
            "ssh-first": self.ssh_first_port,
        }
