"""A user with an account, and leases made as the flows make them."""

import asyncio
import secrets
from collections.abc import Coroutine
from datetime import timedelta
from itertools import count
from typing import Any

from sqlalchemy import update

from db.instances.instances import reserve_machine
from db.instances.tables import Instance
from db.machines import leases
from db.machines.leases import LeaseKeys
from db.machines.tables import Lease
from db.session import Database
from db.usage.spending import Limits
from domain.instances.instances import InstanceSpec
from domain.instances.phases import InstanceKind
from domain.machines.phases import LeaseOutcome
from domain.market.offers import Offer, OfferQuery
from tests.db.accounts import add_account

PLENTY = Limits(usd_per_day=1000, gpus=100)
HOSTS = count(1)
"""Hosts are shared by all accounts, so every test has its own."""


def offer(id: int, *, host: int | None = None, price: float = 0.5, gpus: int = 1) -> Offer:
    return Offer(
        id=str(id),
        host_id=str(next(HOSTS) if host is None else host),
        gpu_name="RTX 4090",
        num_gpus=gpus,
        gpu_ram=24,
        cpu_cores=8,
        cpu_ram=32,
        disk_space=100,
        inet_down=500,
        inet_up=500,
        dph_total=price,
        reliability=0.99,
        cuda_version=12.4,
        verified=True,
        static_ip=True,
    )


class Ledger:
    def __init__(self, database: Database) -> None:
        self.database = database

    async def begin(self) -> None:
        async with self.database.begin() as session:
            self.user_id, self.account_id, self.key_id = await add_account(session)

    async def instance(self) -> int:
        spec = InstanceSpec(query=OfferQuery()).model_dump(mode="json")
        kind = InstanceKind.MODEL
        row = Instance(user_id=self.user_id, provider_key_id=self.key_id, kind=kind, spec=spec)
        async with self.database.begin() as session:
            session.add(row)
        return row.id

    async def reserve(self, offers: list[Offer], instance_id: int | None = None, limits: Limits = PLENTY) -> Lease:
        number = await self.instance() if instance_id is None else instance_id
        async with self.database.begin() as session:
            instance = await session.get_one(Instance, number, with_for_update=True)
            return await reserve_machine(
                session, instance, self.account_id, offers, LeaseKeys("public", "sealed"), limits
            )

    async def asked(self) -> Lease:
        """A lease whose request is on its way."""
        lease = await self.reserve([offer(secrets.randbelow(1 << 40))])
        async with self.database.begin() as session:
            assert await leases.mark_asked(session, lease.id)
        return await self.read(lease.id)

    async def running(self) -> Lease:
        lease = await self.asked()
        async with self.database.begin() as session:
            await leases.mark_rented(session, lease.id, secrets.token_hex(5))
            await leases.mark_running(session, lease.id, "host key")
        return await self.read(lease.id)

    async def close(self, lease_id: str, outcome: LeaseOutcome = LeaseOutcome.SERVED) -> None:
        async with self.database.begin() as session:
            await leases.mark_releasing(session, lease_id, outcome, "over")
            await leases.mark_closed(session, lease_id)

    async def read(self, lease_id: str) -> Lease:
        async with self.database.begin() as session:
            return await session.get_one(Lease, lease_id)

    async def shift(self, lease_id: str, ago: timedelta, *columns: str) -> None:
        """As if these moments of the lease had been so long ago."""
        moved: dict[str, Any] = {column: getattr(Lease, column) - ago for column in columns}
        async with self.database.begin() as session:
            await session.execute(update(Lease).where(Lease.id == lease_id).values(moved))


async def at_once(calls: list[Coroutine[Any, Any, Lease]]) -> list[Lease | BaseException]:
    return await asyncio.gather(*calls, return_exceptions=True)
