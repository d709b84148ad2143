"""A copied data folder becomes an installation of its own; a moved one goes on as the same."""

from typing import Any

import pytest
from sqlalchemy import Row, create_engine, select

from db.installation_identity import WHY, settle
from db.instances.tables import Instance
from db.machines.tables import Lease
from db.migrate import migrate
from db.session import Database
from db.tables import Installation
from domain.instances.phases import Desired, InstanceStatus
from domain.machines.phases import LeaseState
from tests.db.ledger import Ledger


def settled(url: str, home: str, *, moved: bool = False) -> bool:
    with create_engine(url).begin() as connection:
        return settle(connection, home, moved=moved)


def who(url: str) -> Row[Any]:
    with create_engine(url).connect() as connection:
        columns = Installation.uid, Installation.home, Installation.former_uids, Installation.pairing_nonce
        return connection.execute(select(*columns)).one()


@pytest.fixture
async def lease(new_url: str) -> Lease:
    migrate(new_url, "home")
    database = Database(new_url, pool_size=1)
    ledger = Ledger(database)
    await ledger.begin()
    lease = await ledger.running()
    await database.close()
    return lease


async def states(url: str, lease: Lease) -> tuple[LeaseState, str, InstanceStatus, Desired]:
    database = Database(url, pool_size=1)
    async with database.begin() as session:
        row = await session.get_one(Lease, lease.id)
        instance = await session.get_one(Instance, int(lease.holder_id))
    await database.close()
    return row.state, row.reason, instance.status, instance.desired


UNTOUCHED = (LeaseState.RUNNING, "", InstanceStatus.PROVISIONING, Desired.RUNNING)


async def test_at_home_nothing_changes(new_url: str, lease: Lease) -> None:
    before = who(new_url)
    assert not settled(new_url, "home")
    assert who(new_url) == before
    assert await states(new_url, lease) == UNTOUCHED


async def test_a_copy_takes_a_new_id_and_leaves_the_originals_machines(new_url: str, lease: Lease) -> None:
    original = who(new_url)
    assert settled(new_url, "elsewhere")
    copy = who(new_url)
    assert (copy.home, copy.former_uids) == ("elsewhere", [original.uid])
    assert copy.uid != original.uid
    assert await states(new_url, lease) == (LeaseState.CLOSED, WHY, InstanceStatus.FAILED, Desired.DESTROYED)
    assert not settled(new_url, "elsewhere")
    assert settled(new_url, "a copy of the copy")
    assert who(new_url).former_uids == [original.uid, copy.uid]


async def test_a_moved_folder_goes_on_as_the_same(new_url: str, lease: Lease) -> None:
    original = who(new_url)
    assert not settled(new_url, "elsewhere", moved=True)
    assert (who(new_url).uid, who(new_url).home) == (original.uid, "elsewhere")
    assert await states(new_url, lease) == UNTOUCHED
    assert not settled(new_url, "elsewhere")


def test_many_processes_that_migrate_at_once_agree_on_who_we_are(new_url: str) -> None:
    migrate(new_url, "home")
    first = who(new_url)
    migrate(new_url, "home")
    assert who(new_url) == first
