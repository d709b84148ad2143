"""A check of the pairing, with somebody's `adopt` or another check in the middle of it."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import select
from temporalio.client import Client

from activities.machines.pairing import PairingActivities
from db.alarms import open_alarms
from db.migrate import migrate
from db.session import Database
from db.tables import Installation
from settings import Settings
from tests.conftest import Migrated
from tests.patience import PATIENCE_SECONDS


class Schedule:
    """The reaper's, of which the note alone is looked at; what is held goes on when its event is set."""

    def __init__(self) -> None:
        self.note = ""
        self.waits = asyncio.Event()
        """Set when somebody waits for a word that is held."""
        self.go_on()

    def go_on(self) -> None:
        """What comes from now on is not held."""
        self._reads, self._writes = asyncio.Event(), asyncio.Event()
        self._reads.set()
        self._writes.set()

    def hold_reads(self) -> asyncio.Event:
        self._reads = asyncio.Event()
        return self._reads

    def hold_writes(self) -> asyncio.Event:
        self._writes = asyncio.Event()
        return self._writes

    def get_schedule_handle(self, _: str) -> "Schedule":
        return self

    async def describe(self) -> Any:
        said = self._state()
        await self._passed(self._reads)
        return said

    async def update(self, change: Any) -> None:
        await self._passed(self._writes)
        description = self._state()
        change(SimpleNamespace(description=description))
        self.note = description.schedule.state.note

    async def _passed(self, gate: asyncio.Event) -> None:
        if not gate.is_set():
            self.waits.set()
        await gate.wait()

    def _state(self) -> Any:
        return SimpleNamespace(schedule=SimpleNamespace(state=SimpleNamespace(note=self.note)))


@pytest.fixture
async def database(migrated: Migrated) -> AsyncIterator[Database]:
    url = migrated()
    migrate(url, "a home")
    made = Database(url, pool_size=5)
    yield made
    await made.close()


@pytest.fixture
async def schedule(database: Database) -> Schedule:
    """Paired once already."""
    made = Schedule()
    assert await pairing_of(database, made).check_pairing()
    assert made.note
    return made


def pairing_of(database: Database, schedule: Schedule, **changes: Any) -> PairingActivities:
    return PairingActivities(database, cast(Client, schedule), Settings(_env_file=None).model_copy(update=changes))


async def begun(schedule: Schedule, work: Any) -> "asyncio.Task[Any]":
    """Until it waits for a word that is held."""
    task, waits = asyncio.create_task(work), asyncio.create_task(schedule.waits.wait())
    await asyncio.wait([task, waits], timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    assert waits.done()
    assert not task.done()
    return task


async def is_adopted(database: Database) -> bool:
    async with database.begin() as session:
        row = (await session.scalars(select(Installation))).one()
        return row.needs_adoption is None and await open_alarms(session) == []


async def test_a_mismatch_stays_until_it_is_adopted(database: Database, schedule: Schedule) -> None:
    pairing = pairing_of(database, schedule)
    schedule.note = "of a backup"
    assert not await pairing.check_pairing()
    assert not await pairing.check_pairing()
    await pairing.adopt()
    assert await is_adopted(database)
    assert await pairing.check_pairing()


async def test_a_check_that_began_before_an_adoption_does_not_undo_it(database: Database, schedule: Schedule) -> None:
    pairing = pairing_of(database, schedule)
    schedule.note = "of a backup"
    held = schedule.hold_reads()
    check = await begun(schedule, pairing.check_pairing())
    schedule.go_on()
    await pairing.adopt()
    held.set()
    assert await check is False  # what it read is not true any more: this sweep does nothing
    assert await is_adopted(database)
    assert await pairing.check_pairing()


async def test_a_check_that_another_overtakes_finds_no_mismatch(database: Database, schedule: Schedule) -> None:
    """As an attempt does that hung while the next one wrote a new nonce."""
    held = schedule.hold_reads()
    check = await begun(schedule, pairing_of(database, schedule).check_pairing())
    schedule.go_on()
    before = schedule.note
    assert await pairing_of(database, schedule, pairing_seconds=0).check_pairing()
    assert schedule.note != before
    held.set()
    assert await check is False
    assert await is_adopted(database)


async def test_a_check_in_the_middle_of_an_adoption_does_not_undo_it(database: Database, schedule: Schedule) -> None:
    pairing = pairing_of(database, schedule)
    schedule.note = "of a backup"
    held = schedule.hold_writes()
    adoption = await begun(schedule, pairing.adopt())
    assert await pairing.check_pairing()
    held.set()
    await adoption
    assert await is_adopted(database)
    assert await pairing.check_pairing()
