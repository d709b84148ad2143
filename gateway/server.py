"""A whole gateway, put together from settings and taken down in order."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry

from db.sealing import Sealer
from db.session import Database
from domain.endpoints.phases import EndpointState
from gateway.http.access import Access
from gateway.http.app import make_app
from gateway.http.endpoints import Endpoints
from gateway.http.health import Health
from gateway.http.meters import Meters
from gateway.http.owners import Owners
from gateway.http.suspicions import Suspicions
from gateway.http.tunnels import Tunnels
from gateway.http.upstream import Upstream
from gateway.metrics import register
from gateway.route_feed import RouteFeed
from gateway.routes import Route, RouteTable
from gateway.ssh.service import SshService
from settings import Settings
from workflow_client.client import WorkflowClient, connect

DRAIN_SECONDS = 8.0
"""What is in flight gets this long after SIGTERM; less than the 10 s that container runtimes give."""

_SERVER_OPTIONS: dict[str, Any] = {
    "access_log": None,
    "handler_cancellation": True,  # a caller who leaves stops the work done for him
    "keepalive_timeout": 75.0,
    "shutdown_timeout": DRAIN_SECONDS,
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunningGateway:
    """`feeds` end only by a mistake of ours; without one its rows grow stale, so the process must end too."""

    port: int
    ssh: SshService
    feeds: list[asyncio.Task[None]]


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[RunningGateway]:
    """A gateway that listens, for as long as the block lasts. Leaving drains it."""
    database = Database(settings.database_url, pool_size=4)
    sealer = Sealer(settings.secret_keys.get_secret_value())
    registry = CollectorRegistry()
    tunnels, meters = Tunnels(sealer), Meters(registry, settings.gateway_name)
    workflows = WorkflowClient(await connect(settings, lazy=True), settings)
    upstream = Upstream(tunnels, sealer, Suspicions(workflows.look_at_server).note)
    health = Health(upstream)

    def follow(routes: Iterable[Route]) -> None:
        routes = list(routes)
        tunnels.follow([each.lease for each in routes if each.lease and each.state is EndpointState.READY])
        meters.keep_only({each.id for each in routes})
        health.keep_only({each.id for each in routes})

    table = RouteTable(follow)
    access = Access(Owners(database, sealer.signing_keys))
    feed = RouteFeed(database, table, access.forget)
    ssh = SshService(settings, database, sealer, workflows)
    register(registry, settings.gateway_name, table, ssh)
    app = make_app(settings, Endpoints(feed, access, upstream, health, meters), table, registry)
    feeds = [
        asyncio.create_task(feed.run(), name="route-feed"),
        asyncio.create_task(ssh.run(), name="ssh-side"),
    ]
    runner = web.AppRunner(app, **_SERVER_OPTIONS)
    try:
        yield RunningGateway(await _listen(runner, settings), ssh, feeds)
    finally:
        await asyncio.gather(runner.cleanup(), ssh.drain(DRAIN_SECONDS))
        for feeding in feeds:
            feeding.cancel()
        await asyncio.wait(feeds)
        await ssh.close()
        await upstream.close()
        tunnels.close()
        await database.close()


async def _listen(runner: web.AppRunner, settings: Settings) -> int:
    await runner.setup()
    site = web.TCPSite(runner, settings.gateway_host, settings.gateway_port, backlog=1024)
    await site.start()
    port: int = runner.addresses[0][1]
    log.info("gateway %s listens on %s:%d", settings.gateway_name, settings.gateway_host, port)
    return port
