"""The SSH half of a gateway: how its parts are built, started and stopped."""

import asyncio
import logging
from typing import Any
from weakref import WeakKeyDictionary

import asyncssh
from sqlalchemy import text

from db.instances.ssh_identity import open_identity, shared_identity
from db.sealing import CannotOpen, Sealer
from db.session import Database
from gateway.route_feed import DATABASE_ERRORS
from gateway.ssh.clients import Clients
from gateway.ssh.connection_pool import ConnectionPools
from gateway.ssh.connector import Connector
from gateway.ssh.feed import COOLDOWN_CHANNEL, SshFeed
from gateway.ssh.instances import Change, SshTable
from gateway.ssh.listeners import Listeners
from gateway.ssh.port_pool import PortPool
from gateway.ssh.preauth_limits import PreauthConnection, PreauthLimits
from gateway.ssh.reconnect_cooldown import ReconnectCooldown
from gateway.ssh.reverse_tunnels import ReverseTunnels, forwarded_ports
from gateway.ssh.server import SshServer
from gateway.ssh.traffic import Traffic
from settings import Settings
from workflow_client.client import WorkflowClient

LOGIN_SECONDS = 20.0
KEEPALIVE_SECONDS = 15.0
KEEPALIVES_LOST = 4
"""A client that vanished is dropped after a minute."""

# AES-GCM costs us by far the least CPU. OpenSSH's client would choose another cipher if we offered one, so we offer
# nothing else. Every client of the last years has it (OpenSSH 6.2, PuTTY 0.78, libssh2 1.11, paramiko 3.5).
CIPHERS = "aes128-gcm@openssh.com,aes256-gcm@openssh.com"
EXCHANGES = "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,diffie-hellman-group14-sha256"
AGAIN_SECONDS = 1.0

_OPTIONS: dict[str, Any] = {
    "server_version": "Dumont",
    "encryption_algs": CIPHERS,
    "kex_algs": EXCHANGES,
    "compression_algs": "none",
    "login_timeout": LOGIN_SECONDS,
    "keepalive_interval": KEEPALIVE_SECONDS,
    "keepalive_count_max": KEEPALIVES_LOST,
    "line_editor": False,
    "password_auth": False,
    "kbdint_auth": False,
    "host_based_auth": False,
    "gss_host": None,
    "x11_forwarding": False,
    "agent_forwarding": True,
}

log = logging.getLogger(__name__)


class SshService:
    """The parts of the SSH gateway. `port`: the shared port, known once the database has given its host key."""

    def __init__(self, settings: Settings, database: Database, sealer: Sealer, workflows: WorkflowClient) -> None:
        self._settings, self._database, self._sealer = settings, database, sealer
        self.table = SshTable()
        self.preauth_limits = PreauthLimits()
        self.traffic = Traffic(database)
        self.pools = ConnectionPools(sealer)
        self._cooldown = ReconnectCooldown(settings.ssh_quiet_seconds, self._announce_cooldown)
        self.feed = SshFeed(database, self.table, settings.ssh_shard, self._cooldown.hear)
        self.connector = Connector(settings, database, workflows, self.feed, self.table, self.pools, self._cooldown)
        self.clients = Clients(self.table, self.connector, self.traffic, self._cooldown)
        self.listeners = Listeners(settings.ssh_listen, self.preauth_limits, self._serve, self.feed.refresh)
        self._reverse_tunnels = ReverseTunnels(forwarded_ports(settings), sealer)
        self._port_pool = PortPool(database, self.table, self.listeners, settings.ssh_shard, settings.ssh_port_range)
        self._options: dict[int | None, tuple[str, asyncssh.SSHServerConnectionOptions]] = {}
        self._shared_key = ""
        self._arriving: WeakKeyDictionary[asyncssh.SSHServerConnection, PreauthConnection] = WeakKeyDictionary()
        self._notices: set[asyncio.Task[None]] = set()
        self.port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.table.listeners += [self._cooldown.follow, self._follow, self.clients.follow]

    async def run(self) -> None:
        """Until cancelled; ends only by a mistake of ours."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.feed.run())
            tasks.create_task(self.traffic.run())
            tasks.create_task(self._port_pool.run())
            tasks.create_task(self._reverse_tunnels.run())
            tasks.create_task(self._open_shared_port())

    async def drain(self, seconds: float) -> None:
        """Stop listening, announce the end to connected clients, and wait until they have left or time is up."""
        self.listeners.close()
        for client in self.clients.everyone:
            client.notify(f"this gateway is being restarted and closes in {seconds:g} s; connect again.")
        try:
            async with asyncio.timeout(seconds):
                await self.clients.empty.wait()
        except TimeoutError:
            log.info("%d SSH connections are closed", len(self.clients))

    async def close(self) -> None:
        """Disconnect every client and close everything."""
        self.listeners.close()
        for client in self.clients.everyone:
            client.end_sessions("this gateway is being restarted; connect again.")
            client.user.disconnect(asyncssh.DISC_BY_APPLICATION, "This gateway is being restarted.")
        self._reverse_tunnels.close()
        self.pools.close()
        await self.traffic.write_down()

    async def _open_shared_port(self) -> None:
        """Listen on the shared port once the database has given the host key that all replicas show."""
        while not self._shared_key:
            try:
                async with self._database.begin() as session:
                    self._shared_key = await shared_identity(session, self._sealer)
            except DATABASE_ERRORS as error:
                log.warning("the shared SSH port waits for the database: %s", type(error).__name__)
                await asyncio.sleep(AGAIN_SECONDS)
        while True:
            try:
                port = self.listeners.share(self._settings.ssh_port)
                break
            except OSError as error:
                log.error("the shared SSH port %d cannot be bound: %s", self._settings.ssh_port, error.strerror)
                await asyncio.sleep(AGAIN_SECONDS)
        log.info(
            "SSH listens on %s:%d, and on %d ports of its own", self._settings.ssh_listen, port, len(self.listeners)
        )
        self.port.set_result(port)

    def _follow(self, changes: list[Change]) -> None:
        self.listeners.follow(self.table.ports)
        up = [each.lease for each in self.table.instances.values() if each.is_up and each.lease is not None]
        self.pools.follow(up)
        self._reverse_tunnels.follow(up)
        for change in changes:
            if change.after is None:
                self._options.pop(change.id, None)

    def _serve(self, instance_id: int | None, preauth: PreauthConnection) -> asyncssh.SSHServerConnection | None:
        """An SSH server for one connection, with the host key that belongs to the port it came to."""
        instance = None if instance_id is None else self.table.instances.get(instance_id)
        if instance_id is not None and instance is None:
            return None
        sealed = self._shared_key if instance is None else instance.sealed_host_key
        try:
            options = self._options_for(instance_id, sealed)
        except (CannotOpen, ValueError) as error:
            log.error("the SSH host key of instance %s cannot be opened: %s", instance_id, type(error).__name__)
            return None
        connection = asyncssh.SSHServerConnection(asyncio.get_running_loop(), options)
        self._arriving[connection] = preauth
        return connection

    def _options_for(self, instance_id: int | None, sealed: str) -> asyncssh.SSHServerConnectionOptions:
        known = self._options.get(instance_id)
        if known is not None and known[0] == sealed:
            return known[1]
        options = asyncssh.SSHServerConnectionOptions(
            server_factory=lambda: SshServer(self.clients, instance_id, self._arriving),
            server_host_keys=[open_identity(self._sealer, sealed)],
            **_OPTIONS,
        )
        self._options[instance_id] = (sealed, options)
        return options

    def _announce_cooldown(self, payload: str) -> None:
        """Tell other gateways which clients a pause disconnected here. One that misses it would only wake too early."""
        task = asyncio.create_task(self._notify_cooldown(payload))
        self._notices.add(task)
        task.add_done_callback(self._notices.discard)

    async def _notify_cooldown(self, payload: str) -> None:
        try:
            async with self._database.begin() as session:
                notice = {"channel": COOLDOWN_CHANNEL, "payload": payload}
                await session.execute(text("SELECT pg_notify(:channel, :payload)"), notice)
        except DATABASE_ERRORS as error:
            log.debug("other gateways cannot be told of a pause now: %s", type(error).__name__)
