"""While nothing has to be done for an instance: it is watched for idleness, or sleeps until its window is over."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.instances.power import IdlePause, SleepActivities
    from activities.machines.agents import AgentActivities
    from domain.instances.idleness import IdleDecision
    from domain.instances.phases import Desired, InstanceStatus
    from domain.instances.steps import InstanceFacts, Step

from workflows.failures import sentence_of
from workflows.options import RECORD, SHELL, within
from workflows.wishes import Wishes

REPAIRING = timedelta(minutes=2)


class Resting:
    """One timer at a time, and none for what sleeps for good."""

    def __init__(self, instance_id: int, wishes: Wishes) -> None:
        self._id = instance_id
        self._wishes = wishes
        self._warned_since: datetime | None = None

    async def rest(self, step: Step, facts: InstanceFacts) -> timedelta | None:
        """Returns when to look again by oneself; None: only when something changed."""
        if step is Step.STAY and facts.status is InstanceStatus.RUNNING:
            return await self._watch_idleness(facts)
        if step is Step.SLEEP and facts.desired is Desired.PAUSED:
            left = await workflow.execute_local_activity_method(SleepActivities.hibernate_when_due, self._id, **RECORD)
            return None if left is None else timedelta(seconds=left)
        return None

    async def _watch_idleness(self, facts: InstanceFacts) -> timedelta | None:
        decision = await workflow.execute_local_activity_method(AgentActivities.judge_idle, self._id, **RECORD)
        if decision.pause:
            pause = IdlePause(instance_id=self._id, why=decision.why)
            await workflow.execute_local_activity_method(SleepActivities.pause_idle, pause, **RECORD)
            return timedelta(0)
        await self._help(decision, facts)
        return None if decision.look_again is None else timedelta(seconds=decision.look_again)

    async def _help(self, decision: IdleDecision, facts: InstanceFacts) -> None:
        """Tell whoever is on the machine that it is about to be paused; mend an agent that fell silent. Best effort."""
        try:
            if decision.warn and decision.idle_since != self._warned_since:
                self._warned_since = decision.idle_since
                await workflow.execute_activity_method(
                    AgentActivities.warn_users,
                    self._id,
                    summary="say that it is about to be paused",
                    **within(SHELL, REPAIRING),
                )
            if decision.repair and facts.lease is not None:
                await workflow.execute_activity_method(
                    AgentActivities.install_agent,
                    facts.lease.id,
                    summary="mend the silent agent",
                    **within(SHELL, REPAIRING),
                )
        except ActivityError as error:
            workflow.logger.info("instance %s: %s", self._id, sentence_of(error))
