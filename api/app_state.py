"""The parts of an api process, and how it starts. Neither the cloud nor Temporal needs to be up for that."""

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
from clouds.connections import Providers
from clouds.offers import Market
from db.accounts.users import add_user, user_by_email
from db.installation_identity import ensure_installation
from db.listening import ChangeListener
from db.notify import JOBS_CHANNEL
from db.sealing import Sealer
from db.session import Database
from domain.refusals import Refusal
from settings import Settings
from workflow_client.client import WorkflowClient, connect

_AGAIN_SECONDS = 2.0

TEMPORAL_DOWN = (RPCError, RuntimeError)
"""What the client raises when the server does not answer: a RuntimeError before its first connection."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AppState:
    """Made once a process, handed to every request."""

    settings: Settings
    database: Database
    sealer: Sealer
    temporal: Client
    http: httpx.AsyncClient
    providers: Providers
    market: Market
    workflows: WorkflowClient
    passwords: Passwords
    tokens: Tokens
    news: ChangeListener
    job_news: ChangeListener
    artifacts: ObjectStore
    prepared: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the first rows are written: the installation, its key, the demo login."""


@asynccontextmanager
async def running_app_state(settings: Settings) -> AsyncIterator[AppState]:
    """Build the parts, and write the first rows as soon as the database is up."""
    database, sealer = Database(settings.database_url), Sealer(settings.secret_keys.get_secret_value())
    providers = Providers(database, sealer, settings)
    temporal = await connect(settings, lazy=True)
    async with httpx.AsyncClient(follow_redirects=False, trust_env=False) as http:
        app_state = AppState(
            settings=settings,
            database=database,
            sealer=sealer,
            temporal=temporal,
            http=http,
            providers=providers,
            market=Market(database, providers),
            workflows=WorkflowClient(temporal, settings),
            passwords=Passwords(),
            tokens=Tokens(sealer.signing_keys),
            news=ChangeListener(database),
            job_news=ChangeListener(database, JOBS_CHANNEL),
            artifacts=ObjectStore(settings.artifact_address),
        )
        listening = [app_state.news.run(), app_state.job_news.run()]
        beside = [asyncio.create_task(each) for each in (_first_rows(app_state), *listening)]
        yield app_state
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await providers.close()
        await database.close()


async def _first_rows(app_state: AppState) -> None:
    """Write the installation, its key and the demo login, as soon as the database is up."""
    while True:
        try:
            await make_first_rows(app_state)
            return app_state.prepared.set()
        except (SQLAlchemyError, Refusal) as error:
            log.warning("not all first rows are there yet: %s", type(error).__name__)
        await asyncio.sleep(_AGAIN_SECONDS)


async def make_first_rows(app_state: AppState) -> None:
    """Idempotent, and safe from several replicas at once."""
    settings = app_state.settings
    async with app_state.database.begin() as session:
        await ensure_installation(session)
    if settings.local:
        await _make_demo_user(app_state)
    await app_state.providers.keys.keep_installation_keys()


async def _make_demo_user(app_state: AppState) -> None:
    email = app_state.settings.demo_email.lower()
    async with app_state.database.begin() as session:
        known = await user_by_email(session, email)
    if known is None:
        hashed = await app_state.passwords.hash(app_state.settings.demo_password.get_secret_value())
        async with app_state.database.begin() as session:
            await add_user(session, email, "Demo", hashed)
    keys = await asyncio.to_thread(operators_keys, Path.home())
    async with app_state.database.begin() as session:
        if (demo := await user_by_email(session, email)) is not None:
            await register_keys(session, demo.id, keys)
