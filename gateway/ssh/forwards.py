"""Forwards of ports and sockets, both ways, between a user and the machine."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncssh

from gateway.ssh.clients import Client, Connection
from gateway.ssh.connector import NotServed
from gateway.ssh.pipe import WINDOW, Entrance, Half, TcpEntrance, TcpHalf, UnixEntrance, UnixHalf

Kind = TypeVar("Kind", bound=Entrance)

_CHANNEL: dict[str, Any] = {"encoding": None, "window": WINDOW}


async def to_port(client: Client, host: str, port: int, orig_host: str, orig_port: int) -> TcpEntrance:
    """From the user to an address that the machine can reach (`ssh -L`, `-D`, `-W`).

    Raises:
        asyncssh.ChannelOpenError: with the reason.
    """

    async def opening(connection: Connection) -> Half:
        half = TcpHalf(client.note, client.closed)
        await connection.create_connection(lambda: half, host, port, orig_host, orig_port, **_CHANNEL)
        return half

    return await _entered(client, TcpEntrance(client.note), opening)


async def to_socket(client: Client, path: str) -> UnixEntrance:
    """From the user to a UNIX socket of the machine.

    Raises:
        asyncssh.ChannelOpenError: with the reason.
    """

    async def opening(connection: Connection) -> Half:
        half = UnixHalf(client.note, client.closed)
        await connection.create_unix_connection(lambda: half, path, **_CHANNEL)
        return half

    return await _entered(client, UnixEntrance(client.note), opening)


async def from_port(client: Client, host: str, port: int) -> asyncssh.SSHListener | bool:
    """From a port of the machine to the user (`ssh -R`); 0 lets the machine choose. False: the machine refuses."""
    chosen = port

    async def arrived(orig_host: str, orig_port: int) -> asyncssh.SSHTCPSession[bytes]:
        async def opening() -> Half:
            half = TcpHalf(client.note)
            await client.user.create_connection(lambda: half, host, chosen, orig_host, orig_port, **_CHANNEL)
            return half

        return await _arrived(client, TcpEntrance(client.note, client.closed), opening)

    listener = await _listening(client, lambda connection: connection.create_server(arrived, host, port, **_CHANNEL))
    chosen = listener.get_port() if isinstance(listener, asyncssh.SSHListener) and port == 0 else port
    return listener


async def from_socket(client: Client, path: str) -> asyncssh.SSHListener | bool:
    """From a UNIX socket of the machine to the user. False: the machine refuses."""

    async def arrived() -> asyncssh.SSHUNIXSession[bytes]:
        async def opening() -> Half:
            half = UnixHalf(client.note)
            await client.user.create_unix_connection(lambda: half, path, **_CHANNEL)
            return half

        return await _arrived(client, UnixEntrance(client.note, client.closed), opening)

    return await _listening(client, lambda connection: connection.create_unix_server(arrived, path, **_CHANNEL))


async def _entered(client: Client, entrance: Kind, opening: Callable[[Connection], Awaitable[Half]]) -> Kind:
    try:
        entrance.exit = await client.on_machine(opening, client.notify)
    except NotServed as refusal:
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, str(refusal)) from refusal
    except asyncssh.ChannelOpenError:
        raise
    except (OSError, asyncssh.Error) as error:  # left as it is, it would end the user's whole connection
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "the machine was lost") from error
    client.opened()
    return entrance


async def _arrived(client: Client, entrance: Kind, opening: Callable[[], Awaitable[Half]]) -> Kind:
    try:
        entrance.exit = await opening()
    except asyncssh.ChannelOpenError:
        raise
    except (OSError, asyncssh.Error) as error:
        raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "the user has gone") from error
    client.opened()
    return entrance


async def _listening(
    client: Client, opening: Callable[[Connection], Awaitable[asyncssh.SSHListener]]
) -> asyncssh.SSHListener | bool:
    client.left_something()
    try:
        return await client.on_machine(opening, client.notify)
    except (NotServed, OSError, asyncssh.Error):
        return False
