"""The limiter that all processes share, by the database's clock."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update

from db.machines.rate_limits import take_slot
from db.machines.tables import RequestSlot
from tests.db.ledger import Ledger

HOUR = timedelta(hours=1)
"""What the database's clock makes of a slow test is seconds."""
NO_TIME = timedelta(0)


async def take(ledger: Ledger, *, burst: int = 1, idle: timedelta = NO_TIME, spacing: timedelta = HOUR) -> float:
    async with ledger.database.begin() as session:
        return await take_slot(session, ledger.account_id, "list", spacing, burst, idle)


async def later(ledger: Ledger, seconds: float) -> None:
    """As if so much time had passed."""
    async with ledger.database.begin() as session:
        slot = update(RequestSlot).where(RequestSlot.account_id == ledger.account_id)
        await session.execute(slot.values(free_at=RequestSlot.free_at - timedelta(seconds=seconds)))


async def test_the_second_waits_for_the_spacing_and_asking_again_costs_nothing(ledger: Ledger) -> None:
    assert await take(ledger) == 0
    assert await take(ledger) == pytest.approx(3600, abs=120)
    assert await take(ledger) == pytest.approx(3600, abs=120)
    await later(ledger, 3000)
    assert await take(ledger) > 0
    await later(ledger, 600)
    assert await take(ledger) == 0


async def test_a_burst_may_come_at_once_and_is_paid_back(ledger: Ledger) -> None:
    assert [await take(ledger, burst=3) for _ in range(3)] == [0, 0, 0]
    assert await take(ledger, burst=3) == pytest.approx(3600, abs=120)
    await later(ledger, 3600)
    assert await take(ledger, burst=3) == 0
    assert await take(ledger, burst=3) > 0


async def test_a_long_silence_saves_no_more_than_a_burst(ledger: Ledger) -> None:
    await take(ledger, burst=3)
    await later(ledger, 86_400)
    assert [await take(ledger, burst=3) == 0 for _ in range(4)] == [True, True, True, False]


async def test_the_less_urgent_leave_room_for_the_more_urgent(ledger: Ledger) -> None:
    assert await take(ledger) == 0
    await later(ledger, 3600)
    assert await take(ledger, idle=HOUR) == pytest.approx(3600, abs=120)
    assert await take(ledger) == 0  # the urgent one goes first, and the other waits on
    assert await take(ledger, idle=HOUR) == pytest.approx(7200, abs=120)
    await later(ledger, 7200)
    assert await take(ledger, idle=HOUR) == 0


@pytest.mark.parametrize("burst", [1, 4])
async def test_ten_at_once_never_take_more_than_the_limit(ledger: Ledger, burst: int) -> None:
    waits = await asyncio.gather(*(take(ledger, burst=burst) for _ in range(10)))
    assert sum(wait == 0 for wait in waits) == burst


async def test_accounts_and_endpoints_do_not_wait_for_one_another(ledger: Ledger) -> None:
    assert await take(ledger) == 0
    async with ledger.database.begin() as session:
        assert await take_slot(session, ledger.account_id, "rent", HOUR) == 0
    other = Ledger(ledger.database)
    await other.begin()
    assert await take(other) == 0


async def test_without_a_spacing_nobody_waits(ledger: Ledger) -> None:
    assert await asyncio.gather(*(take(ledger, spacing=NO_TIME) for _ in range(10))) == [0] * 10
