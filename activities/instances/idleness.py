"""Is an instance idle? One activity looks again and again; its attempts leave no trace in the flow's history."""

from datetime import datetime

from pydantic import BaseModel
from temporalio import activity

from activities.errors import NotYet
from db.instances.idleness import IdleDefaults, idle_facts, record_decision
from db.instances.tables import Instance
from db.session import Database
from domain.instances.idleness import IdleDecision, judge
from settings import Settings

_NOT_SOON = 3600.0
"""Seconds. Nothing follows from the clock: the flow that watches hears of changes."""


class IdleWatch(BaseModel):
    """`warned_since`: the people at its terminals were told of the pause that follows from idleness since then."""

    instance_id: int
    warned_since: datetime | None = None


class IdlenessActivities:
    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._defaults = IdleDefaults(
            pause_minutes=settings.idle_pause_minutes,
            agent_seconds=settings.agent_seconds,
            repair_seconds=settings.unknown_repair_seconds,
            unattended_usd=settings.unattended_usd,
            fetched=settings.public_url is None,
        )

    @activity.defn
    async def await_idleness(self, watch: IdleWatch) -> IdleDecision:
        """End when something is to be done: a pause, a warning of it, an agent to be mended; till then, look again.

        What is shown of the instance's idleness is written to its row at every look.
        """
        decision = await self.look(watch.instance_id)
        if decision.warn and decision.idle_since == watch.warned_since:
            decision.warn = False
        if decision.pause or decision.warn or decision.repair:
            return decision
        raise NotYet(decision.why, decision.look_again or _NOT_SOON)

    async def look(self, instance_id: int) -> IdleDecision:
        async with self._database.begin() as session:
            instance = await session.get_one(Instance, instance_id, with_for_update=True)
            facts = await idle_facts(session, instance, self._defaults)
            decision = IdleDecision(why="There is nothing to pause.") if facts is None else judge(facts)
            await record_decision(session, instance, decision)
        return decision
