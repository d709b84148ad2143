"""Reads what is known of an instance's use, for the decision whether it is idle; records that decision for display."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.accounts.tables import UserSettings
from db.alarms import close_alarms, raise_alarm
from db.events import record_event
from db.instances.idle_policy import pause_after
from db.instances.tables import Instance
from db.machines.agent_reports import status_of
from db.machines.tables import AgentReport, Lease
from db.tables import Alarm
from domain.instances.idleness import IdleDecision, IdleFacts, IdlePolicy
from domain.instances.phases import InstanceStatus
from domain.lifecycles import LIFECYCLES
from domain.machines.agents import latest
from domain.machines.phases import LeaseState

SILENT_AGENT = "silent_agent"
"""The kind of alarm."""


@dataclass(frozen=True)
class IdleDefaults:
    """The installation's settings; users and instances may have their own. 0 minutes: never."""

    pause_minutes: float
    agent_seconds: float
    repair_seconds: float
    unattended_usd: float
    fetched: bool = False
    """Machines cannot reach us; their reports are fetched over SSH."""


async def idle_facts(session: AsyncSession, instance: Instance, defaults: IdleDefaults) -> IdleFacts | None:
    """What the decision is taken from; None for an instance that does not run or never pauses by itself."""
    if not LIFECYCLES[instance.kind].sleeps_when_idle or instance.status is not InstanceStatus.RUNNING:
        return None
    lease = None if instance.lease_id is None else await session.get(Lease, instance.lease_id)
    if lease is None:
        return None
    report = await session.get(AgentReport, lease.id)
    others, others_heard_at = await _others(session, lease.id)
    now = (await session.scalars(select(func.clock_timestamp()))).one()
    facts = IdleFacts(
        now=now,
        policy=await _policy(session, instance, defaults),
        running_since=latest(instance.running_at, instance.status_at, lease.running_at) or now,
        price_usd_per_hour=float(lease.price_usd_per_hour),
        keep_awake_until=instance.keep_awake_until,
        traffic_at=instance.traffic_at,
        others=others,
        others_heard_at=others_heard_at,
    )
    return facts if report is None else _with_report(facts, report)


def _with_report(facts: IdleFacts, report: AgentReport) -> IdleFacts:
    status = status_of(report)
    more = {
        "known_until": report.at - status.gpu_unknown,
        "keep_awake_until": latest(facts.keep_awake_until, status.kept_awake_until(report.at)),
        "active_at": report.active_at,
        "why_active": report.why_active,
    }
    if status.gpu_unknown:
        more["why_unknown"] = "Its agent cannot tell what the GPUs do"
    return facts.model_copy(update=more)


async def _policy(session: AsyncSession, instance: Instance, defaults: IdleDefaults) -> IdlePolicy:
    row = await session.get(UserSettings, instance.user_id)
    cap = None if row is None else row.settings.get("unattended_usd")
    return IdlePolicy(
        pause_after=await pause_after(session, instance, defaults.pause_minutes),
        report_every=timedelta(seconds=defaults.agent_seconds),
        repair_after=timedelta(seconds=defaults.repair_seconds),
        unattended_usd=defaults.unattended_usd if cap is None else float(cap),
        fetched=defaults.fetched,
    )


async def _others(session: AsyncSession, lease_id: str) -> tuple[int, datetime | None]:
    """The other machines that run and have an agent: how many, and when any of them was last heard."""
    found = await session.execute(
        select(func.count(), func.max(AgentReport.at))
        .join(Lease, Lease.id == AgentReport.lease_id)
        .where(Lease.state == LeaseState.RUNNING, Lease.id != lease_id)
    )
    count, heard_at = found.one()
    return int(count), heard_at


async def record_decision(session: AsyncSession, instance: Instance, decision: IdleDecision) -> None:
    """Record the decision for display. A silent agent is reported to the owner once, until it reports again."""
    instance.idle_since, instance.will_pause_at = decision.idle_since, decision.will_pause_at
    if decision.alarm:
        await _report_silence(session, instance, decision)
    elif not decision.silent:
        await close_alarms(session, SILENT_AGENT, alarm_text(instance.id))


async def _report_silence(session: AsyncSession, instance: Instance, decision: IdleDecision) -> None:
    text = alarm_text(instance.id)
    is_open = select(Alarm.id).where(Alarm.kind == SILENT_AGENT, Alarm.text == text, Alarm.closed_at.is_(None))
    if await session.scalar(is_open) is None:
        await record_event(session, instance.user_id, f"instance:{instance.id}", SILENT_AGENT, decision.why)
    await raise_alarm(session, SILENT_AGENT, text, user_id=instance.user_id)


def alarm_text(instance_id: int) -> str:
    return (
        f"Instance {instance_id}: its agent does not say what the machine does, so it counts as in use and is not "
        "paused before your cap on unattended cost (settings.unattended_usd)."
    )
