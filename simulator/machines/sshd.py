"""A machine's SSH server: root by key only, as Vast's machines have it. The keys are those in the machine's own
~/.ssh/authorized_keys, read at each login, with their options (``command=``, ``restrict``, ``from=`` …)."""

import contextlib
import functools
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncssh

from simulator.machines.box import Box
from simulator.machines.files import resolve
from simulator.machines.forwards import InsideListener, carry
from simulator.machines.sessions import serve_session
from simulator.machines.sftp import InsideFiles

Carry = Callable[[asyncssh.SSHReader[bytes], asyncssh.SSHWriter[bytes]], Awaitable[None]]
BANNER = (
    "Welcome to vast.ai (simulated). If authentication fails, try again after a few seconds, and double check your ssh "
    "key.\nHave fun!\n"
)


class SshLogin(asyncssh.SSHServer):
    """One connection to one machine."""

    def __init__(self, box: Box, connections: set[asyncssh.SSHServerConnection]) -> None:
        self._box = box
        self._connections = connections
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)
        conn.send_auth_banner(BANNER)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection:
            self._connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        file = resolve(self._box.root, "root/.ssh/authorized_keys")
        with contextlib.suppress(OSError, ValueError):  # no file or no valid key in it: nobody enters
            keys = asyncssh.import_authorized_keys(file.read_text(errors="replace"))
            if self._connection and username == "root":
                self._connection.set_authorized_keys(keys)
        return True

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Carry:
        return functools.partial(carry, self._box, dest_host, dest_port)

    async def server_requested(self, listen_host: str, listen_port: int) -> asyncssh.SSHListener | bool:
        if self._connection is None:
            return False
        return await InsideListener.open(self._box, self._connection, listen_host, listen_port)


class SshServer:
    """Listens at the machine's addresses while the machine runs."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._acceptors: list[asyncssh.SSHAcceptor] = []

    def install(self) -> None:
        """Nothing of it is in the machine, and its key is made when it is asked for."""

    async def listen(self, host: str, port: int) -> None:
        """Raises OSError when the address is taken."""
        box = self._box
        acceptor = await asyncssh.listen(
            host, port, server_factory=lambda: SshLogin(box, self._connections),
            server_host_keys=[host_key(box.folder)],
            process_factory=functools.partial(serve_session, box), sftp_factory=functools.partial(InsideFiles, box),
            encoding=None, line_editor=False, allow_scp=False, agent_forwarding=False, x11_forwarding=False,
            password_auth=False, kbdint_auth=False, host_based_auth=False, gss_auth=False, gss_kex=False,
            compression_algs=None, reuse_address=True, backlog=100, login_timeout=30, keepalive_interval=0,
        )  # fmt: skip
        self._acceptors.append(acceptor)

    def close(self) -> None:
        for acceptor in self._acceptors:
            acceptor.close()
        self._acceptors.clear()
        for connection in list(self._connections):
            connection.abort()


def host_key(folder: Path) -> asyncssh.SSHKey:
    """The machine's host key: made once, kept beside its files, gone with them."""
    file = folder / "ssh_host_ed25519_key"
    if file.exists():
        return asyncssh.read_private_key(file)
    key = asyncssh.generate_private_key("ssh-ed25519")
    file.touch(0o600)
    file.write_bytes(key.export_private_key())
    return key
