"""SSH to rented machines: one login by key, commands with bounded output, and HTTP to a port on the machine's loopback.

    SshError
    ├── SshUnreachable    no SSH session: refused, timed out, reset, no such host, or lost in the middle
    ├── SshKeyRefused     the machine answers but does not let our key in (yet: clouds.md B2.5)
    ├── HostKeyChanged    the address answers with another key than the pinned one; nothing was sent to it
    ├── CommandTimedOut   the command ran longer than its `timeout`; it was told to stop
    └── PortClosed        nothing listens on that port of the machine

Nothing is retried and nobody waits here; the caller's policy decides.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import AnyStr

import asyncssh

from clients.http_over_channel import get

MAX_OUTPUT = 256 * 1024
"""Bytes kept of each of stdout and stderr: the last ones, where the reason for a failure is."""

KEEPALIVE_SECONDS = 10
KEEPALIVE_LOST = 3
"""After this many unanswered keepalives the connection counts as lost."""


_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
"""Asked for before the others: a relayed request costs 0.3 ms less than under asyncssh's first choice."""


class SshError(Exception):
    """Any failure of the wire; its text never holds a key or a command."""


class SshUnreachable(SshError):
    pass


class SshKeyRefused(SshError):
    pass


class HostKeyChanged(SshError):
    pass


class CommandTimedOut(SshError):
    pass


class PortClosed(SshError):
    pass


@dataclass(frozen=True)
class SshTarget:
    """Where and as whom. Keys are OpenSSH text; `host_key` is None only at the first contact."""

    host: str
    port: int
    private_key: str = field(repr=False)
    host_key: str | None = None
    user: str = "root"


@dataclass(frozen=True)
class Completed:
    """`exit_code` is negative when a signal ended the command. Output is its last `MAX_OUTPUT` bytes."""

    exit_code: int
    stdout: str
    stderr: str


def generate_keypair() -> tuple[str, str]:
    """A fresh ed25519 pair as OpenSSH text: (private, public line)."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    return key.export_private_key().decode(), key.export_public_key().decode().strip()


async def connect(target: SshTarget, *, timeout: float, agent_path: str | None = None) -> asyncssh.SSHClientConnection:
    """A logged-in connection; `async with await connect(…)` closes it. `timeout`: seconds for all of it.

    The login is by this key alone (no agent, no password, no file of this host is read). A given `host_key` is checked
    before anything is sent; without one any is accepted, and `host_key_of` says which it was. `agent_path`: the socket
    of an SSH agent that sessions on the machine may use; the login itself does not.

    Raises:
        SshUnreachable, SshKeyRefused, HostKeyChanged.
    """
    pinned = None if target.host_key is None else asyncssh.import_public_key(target.host_key)
    with wire_errors(pinned=pinned is not None):
        return await asyncssh.connect(
            target.host,
            target.port,
            username=target.user,
            client_keys=[asyncssh.import_private_key(target.private_key)],
            known_hosts=None if pinned is None else ([pinned], [], []),
            config=None,
            agent_path=None,
            agent_forwarding=agent_path or False,
            x509_trusted_certs=None,
            preferred_auth=["publickey"],
            compression_algs=["none"],
            encryption_algs=_CIPHERS,
            connect_timeout=timeout,
            login_timeout=timeout,
            keepalive_interval=KEEPALIVE_SECONDS,
            keepalive_count_max=KEEPALIVE_LOST,
        )


def host_key_of(connection: asyncssh.SSHClientConnection) -> str:
    """The public key line that the machine identified itself with, to be pinned."""
    key = connection.get_server_host_key()
    if key is None:
        raise SshUnreachable("the connection has no host key")
    return key.export_public_key().decode().strip()


async def run(
    connection: asyncssh.SSHClientConnection, command: str, *, input: str | None = None, timeout: float
) -> Completed:
    """Run a shell command to its end. Secrets go into `input`, never into the command line. `timeout` in seconds.

    Raises:
        CommandTimedOut, SshUnreachable. A non-zero exit code is an answer, not an error.
    """
    with wire_errors(connection):
        process = await connection.create_process(command, encoding=None)
        try:
            return await asyncio.wait_for(_communicate(process, (input or "").encode()), timeout)
        except TimeoutError as error:
            process.terminate()
            raise CommandTimedOut(f"still running after {timeout:g} s") from error
        finally:
            process.close()


def feed(process: asyncssh.SSHClientProcess[AnyStr], input: AnyStr) -> None:
    """Give a command its stdin, and the end of it. One that has ended already takes neither, and that is no failure."""
    with suppress(BrokenPipeError):
        process.stdin.write(input)
        process.stdin.write_eof()


async def _communicate(process: asyncssh.SSHClientProcess[bytes], input: bytes) -> Completed:
    feed(process, input)
    stdout, stderr = await asyncio.gather(_last_of(process.stdout), _last_of(process.stderr))
    await process.wait_closed()
    if process.returncode is None:
        raise SshUnreachable("the connection was lost before the command ended")
    return Completed(process.returncode, stdout, stderr)


async def _last_of(reader: asyncssh.SSHReader[bytes]) -> str:
    kept = bytearray()
    while chunk := await reader.read(65536):
        kept += chunk
        del kept[:-MAX_OUTPUT]
    return kept.decode(errors="replace")


async def http_get(
    connection: asyncssh.SSHClientConnection, port: int, path: str, headers: dict[str, str], *, timeout: float
) -> tuple[int, bytes]:
    """GET `http://127.0.0.1:<port><path>` from the machine's own point of view: (status, body). `timeout` in seconds.

    Raises:
        PortClosed, SshUnreachable (also for an answer that is not HTTP, too long, or late).
    """
    with wire_errors(connection):
        async with asyncio.timeout(timeout):
            reader, writer = await connection.open_connection("127.0.0.1", port)
            try:
                return await get(reader, writer, path, headers)
            except ValueError as error:
                raise SshUnreachable(str(error)) from error
            finally:
                writer.channel.abort()


@contextmanager
def wire_errors(connection: asyncssh.SSHClientConnection | None = None, *, pinned: bool = False) -> Iterator[None]:
    """The library's errors as ours. `connection`: the one in use, which tells a closed port from a lost connection."""
    try:
        yield
    except asyncssh.PermissionDenied as error:
        raise SshKeyRefused("the machine does not accept our key") from error
    except asyncssh.HostKeyNotVerifiable as error:
        raise HostKeyChanged("another host key than the pinned one") from error
    except asyncssh.KeyExchangeFailed as error:
        # A server without any key of the pinned kind ends here: to us that is another machine.
        raise (HostKeyChanged if pinned else SshUnreachable)("no common key exchange") from error
    except asyncssh.ChannelOpenError as error:
        # A connection that is lost reports its channels in the same words as a port that is closed.
        alive = error.code == asyncssh.OPEN_CONNECT_FAILED and connection is not None and not connection.is_closed()
        raise (PortClosed if alive else SshUnreachable)(f"no channel: {error.reason}") from error
    except (OSError, asyncssh.Error) as error:
        raise SshUnreachable(f"{type(error).__name__}: {error}"[:200]) from error
