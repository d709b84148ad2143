"""The real activities on a real database, with every registered cloud and a second one beside it."""

import asyncio
import itertools
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from pydantic import SecretStr
from sqlalchemy import update
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities.errors import NotYet
from activities.machines.leases import LeaseActivities
from activities.machines.machines import MachineActivities
from activities.machines.power import PowerActivities
from activities.machines.reaping import Execution, ReapActivities
from activities.machines.watching import WatchActivities
from clouds.connections import Providers
from clouds.offers import Market
from clouds.registry import clouds_of
from db.accounts.tables import ProviderKey, User
from db.machines import leases
from db.machines.leases import LeaseKeys, LeaseRequest
from db.machines.tables import Lease, Orphan
from db.sealing import Sealer
from db.session import Database
from db.usage.spending import Limits
from domain.holders import Holder, HolderKind
from domain.machines.machines import MachineSeen
from domain.machines.phases import LeaseOutcome
from domain.machines.spec import MachineSpec
from domain.market.offers import OfferQuery
from settings import Settings
from tests import plain_http
from tests.clouds.troubles import KEY, Service
from workflow_client.client import WorkflowClient

SECRETS = "a secret of the seam's tests that is long enough"
PLENTY = Limits(usd_per_day=1000, gpus=100)
Given = TypeVar("Given")
Result = TypeVar("Result")


class Told(WorkflowClient):
    """What workflows would be told."""

    def __init__(self) -> None:
        self.seen_of: dict[str, MachineSeen] = {}
        self.unreachable: set[str] = set()

    async def seen(self, lease_id: str, seen: MachineSeen) -> None:
        if lease_id in self.unreachable:
            raise RPCError("no room for one more signal", RPCStatusCode.INVALID_ARGUMENT, b"")
        self.seen_of[lease_id] = seen

    async def changed(self, workflow_id: str, because: str) -> None:
        pass


class World:
    def __init__(self, database: Database, service: Service) -> None:
        settings = Settings(
            _env_file=None,
            secret_keys=SecretStr(SECRETS),
            cloud_pace=0,
            settle_seconds=0.5,
            reap_apart_seconds=600,
            orphan_grace_seconds=3600,
        )
        http = plain_http.AsyncClient()
        clouds = {**clouds_of(settings, http), service.cloud.name: service.cloud}
        self.database, self.service, self.told = database, service, Told()
        self.providers = Providers(database, Sealer(SECRETS), settings, clouds=clouds, http=http)
        self.market = Market(database, self.providers)
        self.machines = MachineActivities(self.providers)
        self.leases = LeaseActivities(database, self.told)
        self.power = PowerActivities(self.providers, self.told)
        self.watching = WatchActivities(self.providers, self.told)
        self.reaping = ReapActivities(self.providers)

    async def pass_apart(self) -> None:
        """As if the sightings so far had been long enough ago for another one to count."""
        async with self.database.begin() as session:
            await session.execute(update(Orphan).values(first_seen_at=Orphan.first_seen_at - timedelta(hours=1)))

    async def begin(self) -> "World":
        """A user who has given a key for this cloud: an account and a service address of the test's own."""
        async with self.database.begin() as session:
            user = User(email=f"{secrets.token_hex(6)}@example.org", password_hash="-")  # noqa: S106 - no hash
            session.add(user)
        self.key = await self.save_key(user.id, KEY)
        assert self.key.account_id is not None
        self.account_id = self.key.account_id
        return self

    async def save_key(self, user_id: int, text: str) -> ProviderKey:
        return await self.providers.keys.keep(user_id, text, self.service.cloud.name)

    async def lease(self) -> Lease:
        """Reserved as flows do it: the best offer of the market that is free."""
        offers = await self.market.offers(self.key, OfferQuery())
        request = LeaseRequest(
            holder=Holder(kind=HolderKind.STANDBY, id=secrets.token_hex(6)),
            user_id=self.key.user_id or 0,
            account_id=self.account_id,
            provider_key_id=self.key.id,
            spec=MachineSpec(),
        )
        async with self.database.begin() as session:
            return await leases.reserve(session, request, offers, LeaseKeys("public", "sealed"), PLENTY)

    async def rented(self) -> Lease:
        lease = await self.lease()
        await perform(self.machines.rent_machine, lease.id)
        return await self.read(lease.id)

    async def end(self, lease: Lease) -> None:
        """From here on it is only to be released."""
        async with self.database.begin() as session:
            await leases.mark_releasing(session, lease.id, LeaseOutcome.SERVED, "over")

    async def look(self) -> None:
        """One look at the account's machines."""
        await attempt(self.watching.look_at_account, self.account_id)

    async def sweep(self) -> list[str]:
        """One sweep and what it asks for. Returns what was done, with which machine."""
        found = await perform(self.reaping.sweep_account, self.account_id)
        done = []
        for request in found.action_requests:
            order = {"account_id": self.account_id, "action_request": request}
            if await perform(self.reaping.carry_out, Execution.model_validate(order)):
                done.append(f"{request.action} {request.cloud_id}")
        return done

    async def read(self, lease_id: str) -> Lease:
        async with self.database.begin() as session:
            return await session.get_one(Lease, lease_id)


async def attempt(act: Callable[[Given], Awaitable[Result]], given: Given, number: int = 1) -> Result | NotYet:
    """One attempt of an activity; a `NotYet` is given back."""
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=number, started_time=datetime.now(UTC))
    try:
        return await environment.run(act, given)
    except NotYet as error:
        return error


async def perform(act: Callable[[Given], Awaitable[Result]], given: Given, *, seconds: float = 20) -> Result:
    """An activity as Temporal runs it: again whenever it says `NotYet`, though sooner than it asks for."""
    deadline = time.monotonic() + seconds
    for number in itertools.count(1):
        result = await attempt(act, given, number)
        if not isinstance(result, NotYet):
            return result
        assert time.monotonic() < deadline, f"still not: {result}"
        await asyncio.sleep(0.05)
    raise AssertionError
