"""How to know that a process is ready to be used."""

import asyncio

import psycopg
from psycopg import sql

from cli.up.spec import Probe

HOST = "127.0.0.1"
ANSWER_SECONDS = 5.0


def answers(port: int, path: str) -> Probe:
    """Ready when the path answers 200. Asked by hand: a client library would be most of what the supervisor loads."""
    question = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"

    async def ask() -> bool:
        try:
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(question.encode())
            status = await asyncio.wait_for(reader.readline(), ANSWER_SECONDS)
            writer.close()
        except (OSError, TimeoutError):
            return False
        return status.split()[1:2] == [b"200"]

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
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True
