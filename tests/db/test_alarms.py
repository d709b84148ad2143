"""What a person has to look at, once; and who is alive."""

import asyncio
import secrets

import pytest
from sqlalchemy import update

from db import process_heartbeats
from db.alarms import close_alarms, open_alarms, raise_alarm
from db.tables import ProcessHeartbeat
from tests.db.ledger import Ledger


@pytest.fixture
def kind() -> str:
    return secrets.token_hex(6)


async def texts(ledger: Ledger, kind: str, user_id: int | None = None) -> list[str]:
    async with ledger.database.begin() as session:
        return [alarm.text for alarm in await open_alarms(session, user_id) if alarm.kind == kind]


async def test_the_same_alarm_is_raised_once_however_many_raise_it(ledger: Ledger, kind: str) -> None:
    async def raised() -> None:
        async with ledger.database.begin() as session:
            await raise_alarm(session, kind, "the roof burns")

    await asyncio.gather(*(raised() for _ in range(10)))
    assert await texts(ledger, kind) == ["the roof burns"]


async def test_what_was_closed_may_be_raised_again(ledger: Ledger, kind: str) -> None:
    for _ in range(2):
        async with ledger.database.begin() as session:
            await raise_alarm(session, kind, "the roof burns")
            await raise_alarm(session, kind, "the cellar is wet")
        assert await texts(ledger, kind) == ["the roof burns", "the cellar is wet"]
        async with ledger.database.begin() as session:
            await close_alarms(session, kind)
        assert await texts(ledger, kind) == []


async def test_one_of_a_kind_is_closed_by_its_text(ledger: Ledger, kind: str) -> None:
    async with ledger.database.begin() as session:
        await raise_alarm(session, kind, "the roof burns")
        await raise_alarm(session, kind, "the cellar is wet")
        await close_alarms(session, kind, "the roof burns")
    assert await texts(ledger, kind) == ["the cellar is wet"]


async def test_a_users_alarm_is_theirs_and_the_installations_everybodys(ledger: Ledger, kind: str) -> None:
    async with ledger.database.begin() as session:
        await raise_alarm(session, kind, "yours", user_id=ledger.user_id)
        await raise_alarm(session, kind, "everybody's")
    other = Ledger(ledger.database)
    await other.begin()
    assert await texts(ledger, kind, ledger.user_id) == ["yours", "everybody's"]
    assert await texts(ledger, kind, other.user_id) == ["everybody's"]


async def test_who_beats_is_alive_until_it_ends_or_is_silent(ledger: Ledger, kind: str) -> None:
    async def is_alive() -> bool:
        async with ledger.database.begin() as session:
            return await process_heartbeats.is_alive(session, kind)

    async def beat() -> None:
        async with ledger.database.begin() as session:
            await process_heartbeats.beat(session, f"{kind}-host-1")

    assert not await is_alive()
    await asyncio.gather(*(beat() for _ in range(5)))
    assert await is_alive()
    async with ledger.database.begin() as session:
        mine = update(ProcessHeartbeat).where(ProcessHeartbeat.process == f"{kind}-host-1")
        await session.execute(mine.values(at=ProcessHeartbeat.at - process_heartbeats.MISSED_AFTER))
    assert not await is_alive()
    await beat()
    assert await is_alive()
    async with ledger.database.begin() as session:
        await process_heartbeats.ended(session, f"{kind}-host-1")
    assert not await is_alive()


async def test_the_long_dead_are_forgotten(ledger: Ledger, kind: str) -> None:
    async with ledger.database.begin() as session:
        session.add(ProcessHeartbeat(process=f"{kind}-old"))
        await session.flush()
        mine = update(ProcessHeartbeat).where(ProcessHeartbeat.process == f"{kind}-old")
        await session.execute(mine.values(at=ProcessHeartbeat.at - 2 * process_heartbeats.FORGOTTEN))
        await process_heartbeats.forget_dead(session)
        await process_heartbeats.beat(session, f"{kind}-new")
    async with ledger.database.begin() as session:
        assert await session.get(ProcessHeartbeat, f"{kind}-old") is None
