"""A whole door, put together from settings and taken down in order."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler
from sqlalchemy.exc import SQLAlchemyError

from db.sealing import Sealer
from db.session import Database
from settings import Settings
from vault.relay import PIECE, Relay
from vault.rights import Rights
from vault.store import Store, running_store

DRAIN_SECONDS = 5.0
_OPTIONS: dict[str, Any] = {
    "access_log": None,
    "handler_cancellation": True,
    "keepalive_timeout": 75.0,
    "shutdown_timeout": DRAIN_SECONDS,
    "read_bufsize": PIECE,
}
_NO_HURRY = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=600.0)
"""An object is as long under way as its machine's line is slow."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunningVault:
    """`store_ended` is done when rclone ended; then the process must too."""

    port: int
    store: Store
    store_ended: asyncio.Task[int]


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[RunningVault]:
    """A door that listens, for as long as the block lasts."""
    database = Database(settings.database_url, pool_size=4)
    sealer = Sealer(settings.secret_keys.get_secret_value())
    async with running_store(settings.vault_store) as store:
        connector = aiohttp.UnixConnector(store.socket, limit=0)
        async with aiohttp.ClientSession(
            connector=connector, timeout=_NO_HURRY, auto_decompress=False, read_bufsize=PIECE
        ) as http:
            runner = web.AppRunner(make_app(Relay(Rights(database, sealer), store, http)), **_OPTIONS)
            ended = asyncio.create_task(store.process.wait())
            try:
                yield RunningVault(await _listen(runner, settings), store, ended)
            finally:
                await runner.cleanup()
                await database.close()
                ended.cancel()


def make_app(relay: Relay) -> web.Application:
    async def health(_: web.Request) -> web.Response:
        well = await relay.healthy()
        return web.json_response({"status": "healthy" if well else "unhealthy"}, status=200 if well else 503)

    app = web.Application(middlewares=[_answered])
    app.router.add_get("/health", health)
    app.router.add_route("*", "/{path:.*}", relay.handle)
    return app


@web.middleware
async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Who cannot be looked up is let in by nobody; our insides are shown to nobody."""
    try:
        return await handler(request)
    except SQLAlchemyError as error:
        log.warning("the database does not answer: %s", type(error).__name__)
        return web.Response(status=503)
    except (web.HTTPException, ConnectionResetError):
        raise
    except Exception:
        log.exception("a request failed")
        return web.Response(status=500)


async def _listen(runner: web.AppRunner, settings: Settings) -> int:
    await runner.setup()
    await web.TCPSite(runner, settings.vault_host, settings.vault_port, backlog=256).start()
    port: int = runner.addresses[0][1]
    log.info("the vault's door is at %s:%d", settings.vault_host, port)
    return port
