"""What one api process is made of, and how it starts: nothing here needs the cloud or Temporal to be up."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.service import RPCError

from api.accounts.operators_keys import operators_keys, register_keys
from api.accounts.passwords import Passwords
from api.accounts.tokens import Tokens
from clients.object_store import ObjectStore
from clouds.connections import Clouds
from clouds.offers import Market
from db.accounts.users import add_user, user_by_email
from db.installation_identity import ensure_installation
from db.listening import InstanceNews
from db.notify import JOBS_CHANNEL
from db.sealing import Sealer
from db.session import Database
from domain.refusals import Refusal
from settings import Settings
from workflow_client.client import Flows, connect

_AGAIN_SECONDS = 2.0

TEMPORAL_DOWN = (RPCError, RuntimeError)
"""What the client raises when the server does not answer: a RuntimeError until the first connection was made."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """Made once a process, handed to every request."""

    settings: Settings
    database: Database
    sealer: Sealer
    temporal: Client
    http: httpx.AsyncClient
    clouds: Clouds
    market: Market
    flows: Flows
    passwords: Passwords
    tokens: Tokens
    news: InstanceNews
    job_news: InstanceNews
    artifacts: ObjectStore
    prepared: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the first rows are there: the installation, its key, the demo login."""


@asynccontextmanager
async def running_parts(settings: Settings) -> AsyncIterator[Parts]:
    """Connect what connects by itself later, and keep making sure of the first rows until they are there."""
    database, sealer = Database(settings.database_url), Sealer(settings.secret_keys.get_secret_value())
    clouds = Clouds(database, sealer, settings)
    temporal = await connect(settings, lazy=True)
    async with httpx.AsyncClient(follow_redirects=False, trust_env=False) as http:
        parts = Parts(
            settings=settings,
            database=database,
            sealer=sealer,
            temporal=temporal,
            http=http,
            clouds=clouds,
            market=Market(database, clouds),
            flows=Flows(temporal, settings),
            passwords=Passwords(),
            tokens=Tokens(sealer.signing_keys),
            news=InstanceNews(database),
            job_news=InstanceNews(database, JOBS_CHANNEL),
            artifacts=ObjectStore(settings.artifact_address),
        )
        listening = [parts.news.run(), parts.job_news.run()]
        beside = [asyncio.create_task(each) for each in (_first_rows(parts), *listening)]
        yield parts
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await clouds.close()
        await database.close()


async def _first_rows(parts: Parts) -> None:
    """The installation, its key and the demo login. A database that is not up yet is waited for."""
    while True:
        try:
            await make_first_rows(parts)
            return parts.prepared.set()
        except (SQLAlchemyError, Refusal) as error:
            log.warning("not all first rows are there yet: %s", type(error).__name__)
        await asyncio.sleep(_AGAIN_SECONDS)


async def make_first_rows(parts: Parts) -> None:
    """Idempotent, and safe from several replicas at once."""
    settings = parts.settings
    async with parts.database.begin() as session:
        await ensure_installation(session)
    if settings.local:
        await _make_demo_user(parts)
    if settings.vast_api_key is not None:
        await parts.clouds.keys.keep(None, settings.vast_api_key.get_secret_value())


async def _make_demo_user(parts: Parts) -> None:
    email = parts.settings.demo_email.lower()
    async with parts.database.begin() as session:
        known = await user_by_email(session, email)
    if known is None:
        hashed = await parts.passwords.hash(parts.settings.demo_password.get_secret_value())
        async with parts.database.begin() as session:
            await add_user(session, email, "Demo", hashed)
    keys = await asyncio.to_thread(operators_keys, Path.home())
    async with parts.database.begin() as session:
        if (demo := await user_by_email(session, email)) is not None:
            await register_keys(session, demo.id, keys)
