"""Whether a stopped machine's disk may go, asked of the rows: what ran since may have written."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from db.instances.facts import holds_all
from db.instances.tables import Instance
from db.machines import power
from db.machines.leases import mark_seen
from db.machines.tables import Lease
from db.snapshots import snapshots
from domain.machines.machines import MachineSeen, Seen
from domain.machines.phases import LeaseState, Power
from tests.db.ledger import Ledger, offer


class Paused:
    """An instance whose machine was stopped after all of it was saved."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def begin(self) -> "Paused":
        self.instance_id = await self.ledger.instance()
        lease = await self.ledger.reserve([offer(self.instance_id)], self.instance_id)
        self.lease_id = lease.id
        async with self.ledger.database.begin() as session:
            instance = await session.get_one(Instance, self.instance_id)
            instance.lease_id = instance.data_lease_id = lease.id
            row = await snapshots.begin(session, f"snap_{lease.id}", instance, final=True)
            await snapshots.mark_begun(session, row.id)
            assert await snapshots.mark_ready(session, row, "1" * 64, size=1, added=1, files=1)
            await session.execute(
                update(Lease).where(Lease.id == lease.id).values(state=LeaseState.RUNNING, power=Power.STOPPED)
            )
            await session.refresh(row)
            lease = await session.get_one(Lease, lease.id)
            lease.ran_until = row.taken_at
        await self.stop()
        return self

    async def stop(self) -> None:
        async with self.ledger.database.begin() as session:
            assert await power.mark_stopping(session, self.lease_id)
            await power.mark_stopped(session, self.lease_id)
        await self.look(Seen.STOPPED)

    async def look(self, state: Seen) -> None:
        async with self.ledger.database.begin() as session:
            await mark_seen(session, self.lease_id, MachineSeen(state=state).model_dump(mode="json"))

    async def change(self, **values: Any) -> None:
        async with self.ledger.database.begin() as session:
            await session.execute(update(Lease).where(Lease.id == self.lease_id).values(values))

    async def is_saved(self) -> bool:
        async with self.ledger.database.begin() as session:
            instance = await session.get_one(Instance, self.instance_id)
            lease = await session.get_one(Lease, self.lease_id)
            return holds_all(await snapshots.newest(session, instance), lease, instance)


@pytest.fixture
async def paused(ledger: Ledger) -> Paused:
    return await Paused(ledger).begin()


async def test_what_was_saved_and_stopped_may_go_until_it_looks_up(paused: Paused) -> None:
    assert await paused.is_saved()
    await paused.look(Seen.UP)
    assert not await paused.is_saved()
    await paused.look(Seen.STOPPED)
    assert await paused.is_saved()


async def test_a_start_that_comes_after_it_was_given_up_may_have_written(paused: Paused) -> None:
    await paused.change(start_refused="taken")
    await paused.ledger.shift(paused.lease_id, timedelta(minutes=10), "stopped_at")
    await paused.look(Seen.UP)
    await paused.stop()
    assert not await paused.is_saved()
    lease = await paused.ledger.read(paused.lease_id)
    assert 600 <= lease.stopped_seconds < 720


@pytest.mark.parametrize(("seen", "is_saved"), [(Seen.UP, False), (Seen.STOPPED, True)])
async def test_a_start_that_is_called_off_may_have_written_once_it_was_seen_up(
    paused: Paused, seen: Seen, is_saved: bool
) -> None:
    await paused.change(power=Power.RUNNING)
    async with paused.ledger.database.begin() as session:
        assert await power.mark_starting(session, paused.lease_id)
    await paused.look(seen)
    await paused.change(power=Power.STOPPED)
    await paused.stop()
    assert await paused.is_saved() is is_saved
