"""How to know that a process is ready to be used."""

import asyncio

import httpx
import psycopg
from psycopg import sql

from cli.up.spec import Probe


def answers(url: str) -> Probe:
    """Ready when the address answers 200."""

    async def ask() -> bool:
        try:
            async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
                return (await client.get(url)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    return ask


def database_exists(server: str, name: str) -> Probe:
    """Ready when the server lets us in; makes the database where it is not there yet."""

    async def ask() -> bool:
        try:
            async with await psycopg.AsyncConnection.connect(server, autocommit=True, connect_timeout=5) as connection:
                found = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
                if await found.fetchone() is None:
                    await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.OperationalError:
            return False
        return True

    return ask


def succeeds(*command: str, listening: int) -> Probe:
    """Ready when the port is open and the command then succeeds."""

    async def run() -> bool:
        if not await is_open(listening):
            return False
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*command, stdin=quiet, stdout=quiet, stderr=quiet)
        return await process.wait() == 0

    return run


async def is_open(port: int) -> bool:
    """Whether something listens there."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
