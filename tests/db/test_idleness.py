"""What the judge is told of an instance, and what becomes of its verdict."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from db.accounts.tables import UserSettings
from db.alarms import open_alarms
from db.instances.idleness import IdleDefaults, alarm_text, idle_facts, record_decision
from db.instances.tables import Instance
from db.machines.agent_reports import record_report
from db.machines.tables import Lease
from db.tables import Event
from domain.instances.idleness import IdleDecision, IdleFacts
from domain.instances.phases import InstanceKind, InstanceStatus
from domain.machines.agents import AgentStatus
from tests.db.ledger import Ledger
from tests.db.test_agents import IDLE

DEFAULTS = IdleDefaults(pause_minutes=3, agent_seconds=10, repair_seconds=900, unattended_usd=5)


async def interactive(ledger: Ledger, **changes: Any) -> tuple[int, Lease]:
    """A running instance that may be paused, and its lease."""
    lease = await ledger.running()
    number = int(lease.holder_id)
    async with ledger.database.begin() as session:
        instance = await session.get_one(Instance, number)
        instance.kind, instance.status = InstanceKind.INTERACTIVE, InstanceStatus.RUNNING
        instance.running_at = func.clock_timestamp()
        for name, value in changes.items():
            setattr(instance, name, value)
    return number, lease


async def facts_of(ledger: Ledger, number: int) -> IdleFacts | None:
    async with ledger.database.begin() as session:
        return await idle_facts(session, await session.get_one(Instance, number), DEFAULTS)


async def decision(ledger: Ledger, number: int, decision: IdleDecision) -> None:
    async with ledger.database.begin() as session:
        instance = await session.get_one(Instance, number, with_for_update=True)
        await record_decision(session, instance, decision)


async def test_a_model_or_what_does_not_run_is_not_judged(ledger: Ledger) -> None:
    model, _ = await interactive(ledger, kind=InstanceKind.MODEL)
    asleep, _ = await interactive(ledger, status=InstanceStatus.PAUSED)
    assert await facts_of(ledger, model) is None
    assert await facts_of(ledger, asleep) is None


@pytest.mark.parametrize(
    ("own", "users", "minutes"),
    [
        (None, {}, 3),
        (None, {"idle_pause_minutes": 10}, 10),
        (0.05, {"idle_pause_minutes": 10}, 0.05),
        (0, {"idle_pause_minutes": 10}, None),
    ],
)
async def test_the_window_is_the_instances_else_the_users_else_ours(
    ledger: Ledger, own: float | None, users: dict[str, Any], minutes: float | None
) -> None:
    number, _ = await interactive(ledger, idle_pause_minutes=own)
    async with ledger.database.begin() as session:
        session.add(UserSettings(user_id=ledger.user_id, settings=users | {"unattended_usd": 1.5}))
    facts = await facts_of(ledger, number)
    assert facts is not None
    assert facts.policy.pause_after == (None if minutes is None else timedelta(minutes=minutes))
    assert facts.policy.unattended_usd == 1.5


async def test_what_is_known(ledger: Ledger) -> None:
    number, lease = await interactive(ledger)
    before = await facts_of(ledger, number)
    assert before is not None
    assert (before.known_until, before.active_at, before.price_usd_per_hour) == (None, None, 0.5)
    async with ledger.database.begin() as session:
        said = AgentStatus.model_validate(IDLE | {"keep_awake_seconds": 3600})
        at = (await record_report(session, lease, said)).at
    after = await facts_of(ledger, number)
    assert after is not None
    assert (after.known_until, after.active_at) == (at, at)
    assert after.keep_awake_until == at + timedelta(hours=1)
    assert after.now > at


async def test_a_gpu_that_cannot_be_read_makes_the_time_since_unknown(ledger: Ledger) -> None:
    number, lease = await interactive(ledger)
    async with ledger.database.begin() as session:
        said = AgentStatus.model_validate(IDLE | {"gpu_metrics": {"error": "hangs", "unknown_seconds": 300}})
        at = (await record_report(session, lease, said)).at
    facts = await facts_of(ledger, number)
    assert facts is not None
    assert facts.known_until == at - timedelta(seconds=300)
    assert "GPU" in facts.why_unknown


async def test_a_verdict_is_shown_and_a_silent_agent_is_told_of_once_until_it_speaks(ledger: Ledger) -> None:
    number, _ = await interactive(ledger)
    since = datetime(2026, 1, 1, tzinfo=UTC)
    await decision(ledger, number, IdleDecision(idle_since=since, will_pause_at=since, look_again=1))
    for _ in range(2):
        await decision(ledger, number, IdleDecision(silent=True, repair=True, alarm=True, look_again=1, why="Silent."))
    async with ledger.database.begin() as session:
        instance = await session.get_one(Instance, number)
        assert (instance.idle_since, instance.will_pause_at) == (None, None)
        alarms = [each.text for each in await open_alarms(session, ledger.user_id)]
        events = await session.scalars(select(Event.text).where(Event.subject == f"instance:{number}"))
        assert alarms.count(alarm_text(number)) == 1
        assert events.all() == ["Silent."]
    await decision(ledger, number, IdleDecision(silent=True, look_again=1))
    async with ledger.database.begin() as session:
        assert alarm_text(number) in [each.text for each in await open_alarms(session, ledger.user_id)]
    await decision(ledger, number, IdleDecision(look_again=1))
    async with ledger.database.begin() as session:
        assert alarm_text(number) not in [each.text for each in await open_alarms(session, ledger.user_id)]


async def test_others_that_run_are_the_witness(ledger: Ledger) -> None:
    number, _ = await interactive(ledger)
    before = await facts_of(ledger, number)
    _, other = await interactive(ledger)
    async with ledger.database.begin() as session:
        at = (await record_report(session, other, AgentStatus.model_validate(IDLE))).at
    after = await facts_of(ledger, number)
    assert before is not None
    assert after is not None
    assert (after.others, after.others_heard_at) == (before.others + 1, at)
