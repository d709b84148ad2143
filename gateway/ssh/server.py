"""The SSH server that clients speak to. A listed key logs in before anything wakes; then comes the machine."""

from collections.abc import Awaitable, MutableMapping
from typing import Any

import asyncssh

from gateway.ssh.clients import Client, Clients
from gateway.ssh.forwards import from_port, from_socket, to_port, to_socket
from gateway.ssh.pipe import WINDOW
from gateway.ssh.preauth_limits import PreauthConnection
from gateway.ssh.reconnect_cooldown import ClientIdentity
from gateway.ssh.sessions import UserSession

KEYS_TRIED = 20
"""Keys that one connection may try: SSH agents hold many."""


class SshServer(asyncssh.SSHServer):
    """One connection. `instance_id` None: it came to the shared port, and the user name says which instance.

    `arriving` has the record of each connection that has not logged in yet.
    """

    def __init__(
        self,
        clients: Clients,
        instance_id: int | None,
        arriving: MutableMapping[asyncssh.SSHServerConnection, PreauthConnection],
    ) -> None:
        self._clients, self._instance_id, self._arriving = clients, instance_id, arriving
        self._tried = 0
        self._shown = ""
        self._client: Client | None = None
        self._connection: asyncssh.SSHServerConnection
        self._preauth: PreauthConnection

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection, self._preauth = conn, self._arriving.pop(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._preauth.left()
        if self._client is not None:
            self._client.leave()

    # Login: by key alone. The last key that passed here before `auth_completed` is the one that signed.

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return self._tried < KEYS_TRIED

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self._tried += 1
        if self._tried > KEYS_TRIED:
            return False
        self._shown = key.get_fingerprint()
        return self._meant(username) is not None

    async def auth_completed(self) -> None:
        instance_id = self._meant(self._connection.get_extra_info("username"))
        self._preauth.logged_in()
        if instance_id is None:  # the key was removed at this moment
            self._connection.disconnect(asyncssh.DISC_BY_APPLICATION, "The key is not accepted any more.")
            return
        identity = ClientIdentity(self._shown, self._preauth.address)
        self._client = self._clients.add(instance_id, identity, self._connection)

    def _meant(self, username: str) -> int | None:
        """The instance that this login is for, if the key shown opens it."""
        table = self._clients.table
        if self._instance_id is None:
            found = table.named(username, self._shown)
            if found is None and table.knows(self._shown):
                self._connection.send_auth_banner("dumont: say which instance, for example: ssh -p PORT i-12@HOST\r\n")
        else:
            found = table.instances.get(self._instance_id)
        return found.id if found is not None and self._shown in found.keys else None

    # What a logged-in client opens.

    def session_requested(self) -> Any:
        client = self._allowed()
        return self._connection.create_server_channel(encoding=None, window=WINDOW), UserSession(client)

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
        channel = self._connection.create_tcp_channel(encoding=None, window=WINDOW)
        return channel, to_port(self._allowed(), dest_host, dest_port, orig_host, orig_port)

    def unix_connection_requested(self, dest_path: str) -> Any:
        return self._connection.create_unix_channel(encoding=None, window=WINDOW), to_socket(self._allowed(), dest_path)

    def server_requested(self, listen_host: str, listen_port: int) -> Awaitable[asyncssh.SSHListener | bool] | bool:
        return False if self._client is None else from_port(self._client, listen_host, listen_port)

    def unix_server_requested(self, listen_path: str) -> Awaitable[asyncssh.SSHListener | bool] | bool:
        return False if self._client is None else from_socket(self._client, listen_path)

    def _allowed(self) -> Client:
        if self._client is None:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "log in first")
        return self._client
