"""SSH ports and host keys: one for life."""

import asyncio
import secrets
from datetime import timedelta

import asyncssh
import pytest
from sqlalchemy import func, literal, select, update

from db.instances.ssh_identity import new_identity, open_identity, shared_identity
from db.instances.ssh_ports import QUARANTINE, NoPortFree, free_port, keep_spare, next_spare, rest_port, take_port
from db.instances.tables import SshPort
from db.sealing import CannotOpen, Sealer
from db.session import Database

PORTS = range(22000, 22004)
SEALER = Sealer("a secret of these tests that is long enough")


@pytest.fixture
def shard() -> str:
    return secrets.token_hex(6)


async def take(database: Database, shard: str, instance_id: int) -> int:
    async with database.begin() as session:
        return await take_port(session, shard, PORTS, instance_id)


async def free(database: Database, instance_id: int) -> None:
    async with database.begin() as session:
        await free_port(session, instance_id)


def some_id() -> int:
    return secrets.randbelow(1 << 30)


async def test_many_births_at_once_get_a_port_each_and_no_more_than_there_are(database: Database, shard: str) -> None:
    ids = [some_id() for _ in range(6)]
    got = await asyncio.gather(*(take(database, shard, each) for each in ids), return_exceptions=True)
    assert sorted(port for port in got if isinstance(port, int)) == list(PORTS)
    assert sum(isinstance(port, NoPortFree) for port in got) == 2


async def test_an_instance_that_asks_again_has_the_same_port(database: Database, shard: str) -> None:
    mine = some_id()
    assert await take(database, shard, mine) == await take(database, shard, mine)


async def test_a_port_that_is_bound_ahead_goes_first(database: Database, shard: str) -> None:
    async with database.begin() as session:
        assert await next_spare(session, shard, PORTS, 1) == 22000
        await keep_spare(session, shard, 22000, usable=False)
        assert await next_spare(session, shard, PORTS, 1) == 22001
        await keep_spare(session, shard, 22002, usable=True)
        assert await next_spare(session, shard, PORTS, 1) is None
    assert await take(database, shard, some_id()) == 22002
    assert await take(database, shard, some_id()) == 22001


async def test_a_used_port_rests_for_thirty_days(database: Database, shard: str) -> None:
    ids = [some_id() for _ in PORTS]
    for each in ids:
        await take(database, shard, each)
    await free(database, ids[1])
    with pytest.raises(NoPortFree):
        await take(database, shard, some_id())
    async with database.begin() as session:
        earlier = func.clock_timestamp() - literal(QUARANTINE + timedelta(seconds=1))
        await session.execute(update(SshPort).where(SshPort.freed_at.is_not(None)).values(freed_at=earlier))
    assert await take(database, shard, some_id()) == 22001


async def test_a_port_of_an_instance_never_rests_while_it_lives(database: Database, shard: str) -> None:
    mine = some_id()
    port = await take(database, shard, mine)
    async with database.begin() as session:
        await rest_port(session, shard, port)
        row = await session.scalar(select(SshPort).where(SshPort.shard == shard, SshPort.port == port))
        assert row is not None
        assert (row.instance_id, row.freed_at) == (mine, None)


async def test_a_host_key_is_opened_by_those_who_have_the_secret() -> None:
    public, sealed = new_identity(SEALER)
    assert open_identity(SEALER, sealed).export_public_key().decode().strip() == public
    assert "PRIVATE" not in sealed
    with pytest.raises(CannotOpen):
        open_identity(Sealer("another secret that is long enough as well"), sealed)


async def test_all_gateways_get_the_same_shared_host_key(database: Database) -> None:
    async def ask() -> asyncssh.SSHKey:
        async with database.begin() as session:
            return open_identity(SEALER, await shared_identity(session, SEALER))

    keys = await asyncio.gather(*(ask() for _ in range(5)))
    assert len({key.export_public_key() for key in keys}) == 1
