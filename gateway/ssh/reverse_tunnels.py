"""For machines that cannot reach us: ports on their own loopback that lead to our api and vault, over our SSH to them.

A port that cannot be opened is tried again a little later. Of several gateways one gets a machine's ports; another
takes them when it ends.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from weakref import WeakSet

import asyncssh
from yarl import URL

from clients.ssh import SshError
from db.sealing import Sealer
from gateway.http.tunnels import Tunnels
from gateway.routes import LeaseAddress
from settings import Settings

API_PORT = 47811
VAULT_PORT = 47812
LOOK_SECONDS = 2.0
OPEN_SECONDS = 10.0

Place = tuple[str, int]

log = logging.getLogger(__name__)


def forwarded_ports(settings: Settings) -> dict[int, Place]:
    """Which port on a machine leads to which address of ours; empty when machines reach us directly."""
    targets: dict[int, Place] = {}
    if settings.public_url is None:
        api = URL(settings.api_url)
        targets[API_PORT] = (api.host or "127.0.0.1", api.port or 80)
    if settings.vault_url is None:
        targets[VAULT_PORT] = (settings.vault_host, settings.vault_port)
    return targets


class ReverseTunnels:
    """Keeps the ports open on every machine that `follow` names."""

    def __init__(self, targets: Mapping[int, Place], sealer: Sealer) -> None:
        self._targets = targets
        self._tunnels = Tunnels(sealer)
        self._leases: set[str] = set()
        self._open: WeakSet[asyncssh.SSHClientConnection] = WeakSet()

    def follow(self, addresses: Iterable[LeaseAddress]) -> None:
        wanted = list(addresses) if self._targets else []
        self._leases = {address.lease_id for address in wanted}
        self._tunnels.follow(wanted)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.gather(*map(self._keep_open, list(self._leases)))
            await asyncio.sleep(LOOK_SECONDS)

    def close(self) -> None:
        self.follow([])
        self._tunnels.close()

    async def _keep_open(self, lease_id: str) -> None:
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                connection = await self._tunnels.connection(lease_id)
                if connection not in self._open:
                    for port, (host, there) in self._targets.items():
                        await connection.forward_remote_port("127.0.0.1", port, host, there)
                    self._open.add(connection)
        except (SshError, asyncssh.Error, OSError) as error:
            log.debug("lease %s has no reverse tunnel now: %s", lease_id, type(error).__name__)
