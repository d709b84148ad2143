"""Holders change by compare-and-set, and who is not the holder any more has no say."""

import asyncio

from db.machines import leases
from domain.holders import Holder, HolderKind, instance_holder
from domain.machines.phases import LeaseState
from tests.db.ledger import Ledger

POOL = Holder(kind=HolderKind.STANDBY, id="1")


async def test_who_does_not_hold_it_cannot_let_go(ledger: Ledger) -> None:
    lease = await ledger.running()
    async with ledger.database.begin() as session:
        await leases.request_release(session, lease.id, instance_holder(999_999_999))
        await leases.request_release(session, lease.id, Holder(kind=HolderKind.STANDBY, id=lease.holder_id))
    assert (await ledger.read(lease.id)).wanted


async def test_a_late_release_by_the_old_holder_is_ignored(ledger: Ledger) -> None:
    lease = await ledger.running()
    old, new = leases.holder_of(lease), POOL
    async with ledger.database.begin() as session:
        assert await leases.hand_over(session, lease.id, old, new)
        await leases.request_release(session, lease.id, old)
    after = await ledger.read(lease.id)
    assert (after.wanted, after.holder_kind, after.holder_id) == (True, new.kind, new.id)
    async with ledger.database.begin() as session:
        await leases.request_release(session, lease.id, new)
    assert not (await ledger.read(lease.id)).wanted


async def test_of_many_who_would_take_it_over_at_once_one_does(ledger: Ledger) -> None:
    lease = await ledger.running()
    old = leases.holder_of(lease)

    async def take(number: int) -> bool:
        async with ledger.database.begin() as session:
            return await leases.hand_over(session, lease.id, old, Holder(kind=HolderKind.STANDBY, id=str(number)))

    assert sum(await asyncio.gather(*(take(number) for number in range(10)))) == 1


async def test_what_was_let_go_is_not_handed_over(ledger: Ledger) -> None:
    lease = await ledger.running()
    old = leases.holder_of(lease)
    async with ledger.database.begin() as session:
        await leases.request_release(session, lease.id, old)
        assert not await leases.hand_over(session, lease.id, old, POOL)


async def test_what_is_being_released_is_not_handed_over(ledger: Ledger) -> None:
    lease = await ledger.running()
    await ledger.close(lease.id)
    async with ledger.database.begin() as session:
        assert not await leases.hand_over(session, lease.id, leases.holder_of(lease), POOL)
    assert (await ledger.read(lease.id)).state is LeaseState.CLOSED
