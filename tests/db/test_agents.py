"""What agents say, by our clock."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from db.machines.agent_reports import Recorded, record_report, report_of
from db.machines.tables import AgentReport, Lease
from domain.machines.agents import AgentStatus
from domain.machines.machines import MachineSeen, Seen
from domain.machines.phases import LeaseState
from tests.db.ledger import Ledger

IDLE: dict[str, Any] = {
    "boot_id": "boot 1",
    "busy": [],
    "gpu_metrics": {"utilization": 0},
    "observed_seconds": 10,
    "public_ipaddr": "9.8.7.6",
    "ports": {"22/tcp": 40022},
}


async def report(ledger: Ledger, lease: Lease, **changes: Any) -> Recorded:
    async with ledger.database.begin() as session:
        return await record_report(session, lease, AgentStatus.model_validate(IDLE | changes))


async def kept(ledger: Ledger, lease: Lease) -> AgentReport:
    async with ledger.database.begin() as session:
        found = await report_of(session, lease.id)
    assert found is not None
    return found


async def put_into(ledger: Ledger, lease: Lease, state: LeaseState, seen: MachineSeen) -> None:
    async with ledger.database.begin() as session:
        values = {"state": state, "seen": seen.model_dump(mode="json")}
        await session.execute(update(Lease).where(Lease.id == lease.id).values(values))


async def test_the_last_word_is_kept_with_the_first_and_the_last_activity(ledger: Ledger) -> None:
    lease = await ledger.running()
    first = await report(ledger, lease, timestamp="1999-01-01T00:00:00Z", instance_id=999_999, version="1")
    row = await kept(ledger, lease)
    assert first.in_use
    assert (row.instance_id, row.version, row.gpu_util) == (int(lease.holder_id), "1", 0)
    assert row.first_at == row.at == row.active_at == first.at
    second = await report(ledger, lease)
    assert not second.in_use
    third = await report(ledger, lease, busy=[{"command": "make", "reason": "used 99 % of a core"}])
    row = await kept(ledger, lease)
    assert (row.first_at, row.at, row.active_at) == (first.at, third.at, third.at)
    assert row.why_active == "make used 99 % of a core"
    await report(ledger, lease)
    row = await kept(ledger, lease)
    assert (row.active_at, row.why_active) == (third.at, "make used 99 % of a core")


async def test_time_that_nobody_watched_counts_as_activity(ledger: Ledger) -> None:
    lease = await ledger.running()
    await report(ledger, lease)
    hour = timedelta(hours=1)
    async with ledger.database.begin() as session:
        earlier = {"at": AgentReport.at - hour, "active_at": AgentReport.active_at - hour}
        await session.execute(update(AgentReport).where(AgentReport.lease_id == lease.id).values(earlier))
    assert not (await report(ledger, lease, observed_seconds=3600)).in_use
    async with ledger.database.begin() as session:
        await session.execute(update(AgentReport).where(AgentReport.lease_id == lease.id).values(earlier))
    assert (await report(ledger, lease, observed_seconds=1)).in_use


async def test_two_first_reports_at_once_are_one_row(ledger: Ledger) -> None:
    lease = await ledger.running()
    recorded = await asyncio.gather(*(report(ledger, lease) for _ in range(8)))
    row = await kept(ledger, lease)
    assert row.at == max(each.at for each in recorded)


@pytest.mark.parametrize("state", [LeaseState.RENTED, LeaseState.STARTING])
async def test_the_first_word_of_a_boot_that_is_waited_for_is_told_once(ledger: Ledger, state: LeaseState) -> None:
    lease = await ledger.running()
    old = MachineSeen(state=Seen.BOOTING, ssh_host="relay", ssh_port=1, public_ipaddr="1.1.1.1", ports={"22/tcp": 1})
    await put_into(ledger, lease, state, old)
    seen = (await report(ledger, lease)).seen
    assert seen is not None
    assert (seen.state, seen.public_ipaddr, seen.ports) == (Seen.UP, "9.8.7.6", {"22/tcp": 40022})
    assert (seen.ssh_host, seen.actual_status) == ("relay", "running")
    row = MachineSeen.model_validate((await ledger.read(lease.id)).seen)
    assert (row.state, row.ports) == (Seen.BOOTING, {"22/tcp": 40022})  # so the watch, too, will tell that it is up
    assert (await report(ledger, lease)).seen is None
    assert (await report(ledger, lease, boot_id="boot 2")).seen is not None


async def test_without_an_address_of_its_own_the_known_one_stays(ledger: Ledger) -> None:
    lease = await ledger.running()
    await put_into(ledger, lease, LeaseState.STARTING, MachineSeen(public_ipaddr="1.1.1.1", ports={"22/tcp": 1}))
    seen = (await report(ledger, lease, public_ipaddr=None)).seen
    assert seen is not None
    assert (seen.state, seen.public_ipaddr, seen.ports) == (Seen.UP, "1.1.1.1", {"22/tcp": 1})


@pytest.mark.parametrize("state", [LeaseState.RUNNING, LeaseState.STOPPED, LeaseState.STOPPING])
async def test_a_boot_that_nobody_waits_for_is_not_told(ledger: Ledger, state: LeaseState) -> None:
    lease = await ledger.running()
    await put_into(ledger, lease, state, MachineSeen())
    assert (await report(ledger, lease)).seen is None
    assert (await report(ledger, lease, boot_id="boot 2")).seen is None
