"""A job, from its place in the queue to its end: a machine, the script on it once, its files, no machine any more."""

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError
from temporalio.workflow import ActivityHandle

with workflow.unsafe.imports_passed_through():
    from activities.errors import Fault
    from activities.jobs.checkpoints import CheckpointActivities, CheckpointRestored, RestoreFailure
    from activities.jobs.jobs import JobActivities
    from activities.jobs.shell import JobShellActivities, StopOrder, stop_patience
    from activities.snapshots.restores import RestoreActivities, Restored, RestoreOrder
    from domain.jobs.phases import AttemptEnd
    from domain.jobs.steps import AttemptFacts, JobFacts, JobStep, next_job_step
    from domain.workflow_contracts import JobInput

from workflows.attributes import show_phase
from workflows.collecting import Collecting
from workflows.failures import fault_of, reason_of
from workflows.interruptible import through_cancels
from workflows.options import CLOUD, COPY, FOLLOW, RECORD, SHELL, within

EVENTS_BEFORE_ROLLING_OVER = 2000
RELEASE_PATIENCE = timedelta(seconds=60)
"""How long a job that has ended waits for its machine to be gone before it says that it has ended."""
START_PATIENCE = timedelta(minutes=5)
LATE = timedelta(seconds=30)
"""The runner itself holds to the time limit; so long after it, one that has not is told."""
UNTOLD = timedelta(seconds=30)
"""After so long without a word the rows are read anyway: a word may be lost."""


@workflow.defn
class JobWorkflow:
    """Read the job's rows, do the one thing that comes next, and begin again, until the job is over."""

    @workflow.init
    def __init__(self, input: JobInput) -> None:
        self.input = input
        self._changed = False
        self.facts: JobFacts

    @workflow.signal
    def changed(self, because: str = "") -> None:
        """One of the job's rows changed: what its owner wants, its machine, its turn."""
        self._changed = True

    @workflow.run
    async def run(self, input: JobInput) -> None:
        await through_cancels(self._live(input), self.changed)

    async def _live(self, input: JobInput) -> None:
        steps = {
            JobStep.ADMIT: self._admit,
            JobStep.WAIT_FOR_MACHINE: self.await_news,
            JobStep.RESTORE: self._restore,
            JobStep.START: self._start,
            JobStep.FOLLOW: self._follow,
            JobStep.END_ATTEMPT: self._end_attempt,
            JobStep.RELEASE: self._release,
            JobStep.CONCLUDE: self._conclude,
            **Collecting(self).steps,
        }
        while (step := await self._next()) is not JobStep.NOTHING:
            self._say(step)
            await steps[step]()
            if workflow.info().get_current_history_length() > EVENTS_BEFORE_ROLLING_OVER:
                workflow.continue_as_new(input)

    async def _next(self) -> JobStep:
        await self.look()
        return next_job_step(self.facts)

    async def _admit(self) -> None:
        admitted = await workflow.execute_activity_method(
            JobActivities.admit_job, self.input.job_id, summary="a machine for it, if it is its turn", **CLOUD
        )
        if not admitted:
            await self.await_news(self.input.queue_pause)

    async def await_news(self, longest: timedelta = UNTOLD) -> None:
        try:
            await workflow.wait_condition(
                lambda: self._changed, timeout=longest, timeout_summary="read its rows anyway"
            )
        except TimeoutError:
            return

    async def _restore(self) -> None:
        """The checkpoint of an earlier attempt, unless the job or the machine is given up meanwhile."""
        attempt = self.attempt
        order = RestoreOrder(
            instance_id=attempt.instance_id, lease_id=attempt.lease_id or "", snapshot_id=attempt.restore or ""
        )
        restoring = workflow.start_activity_method(
            RestoreActivities.restore, order, summary="bring back its /workspace", **COPY
        )
        while not restoring.done() and next_job_step(self.facts) is JobStep.RESTORE:
            await workflow.wait_condition(lambda: restoring.done() or self._changed)
            await self.look()
        restoring.cancel()
        (came,) = await asyncio.gather(restoring, return_exceptions=True)
        if isinstance(came, Restored):
            done = CheckpointRestored(attempt_id=attempt.id, snapshot_id=order.snapshot_id, files=came.files)
            await workflow.execute_local_activity_method(
                CheckpointActivities.note_restored, done, summary="its /workspace is back", **RECORD
            )
        elif isinstance(came, ActivityError) and next_job_step(self.facts) is JobStep.RESTORE:
            failure = RestoreFailure(attempt_id=attempt.id, snapshot_id=order.snapshot_id, reason=reason_of(came))
            await workflow.execute_local_activity_method(
                CheckpointActivities.note_not_restored, failure, summary="its /workspace is not back", **RECORD
            )
            await self._end_attempt()

    async def _start(self) -> None:
        """A machine that never takes the job is given up: nothing of the script has run on it, as far as we know."""
        try:
            await workflow.execute_activity_method(
                JobShellActivities.start_job,
                self._attempt_id,
                summary="start the script, detached",
                **within(SHELL, START_PATIENCE),
            )
        except ActivityError as error:
            workflow.logger.info("the script was not started: %s", reason_of(error))
            await self._end_attempt()

    async def _follow(self) -> None:
        """Until the attempt has ended; in between, its owner may want it no longer, or its time may be over."""
        following = workflow.start_activity_method(
            JobShellActivities.follow_job, self._attempt_id, summary="keep what it prints", **FOLLOW
        )
        left = await workflow.execute_local_activity_method(
            JobActivities.seconds_left, self.input.job_id, summary="how long may it run", **RECORD
        )
        deadline = workflow.now() + timedelta(seconds=left) + LATE
        while not following.done() and self._is_to_go_on():
            until = min(deadline, await self._next_checkpoint()) if self.facts.has_checkpoints else deadline
            try:
                await workflow.wait_condition(
                    lambda: following.done() or self._changed,
                    timeout=until - workflow.now(),
                    timeout_summary="its time limit, or the next checkpoint",
                )
            except TimeoutError:
                if workflow.now() >= deadline:
                    return await self._end(following, AttemptEnd.TIMEOUT)
            if self._changed:
                await self.look()
        if not following.done() and self._is_on_machine():
            return await self._end(following, AttemptEnd.CANCELLED)
        await self._done_following(following)

    async def _next_checkpoint(self) -> datetime:
        """When to look again; one that is due is begun, and its own workflow takes it."""
        left = await workflow.execute_local_activity_method(
            CheckpointActivities.checkpoint_when_due, self.input.job_id, summary="is a checkpoint due", **RECORD
        )
        return workflow.now() + timedelta(seconds=left)

    def _is_on_machine(self) -> bool:
        return next_job_step(self.facts) is JobStep.FOLLOW

    def _is_to_go_on(self) -> bool:
        return self.facts.wanted and self._is_on_machine()

    async def _end(self, following: ActivityHandle[bool], why: AttemptEnd) -> None:
        """Have it ended on its machine, and hear how; a machine that does not answer is waited for only so long."""
        order, patience = StopOrder(attempt_id=self._attempt_id, why=why), timedelta(seconds=stop_patience())
        stopping = workflow.start_activity_method(
            JobShellActivities.stop_job, order, summary=f"end it: {why.value}", **within(SHELL, patience)
        )
        try:
            await workflow.wait_condition(following.done, timeout=patience)
        except TimeoutError:
            await workflow.execute_local_activity_method(
                JobShellActivities.end_unheard, order, summary="its machine does not answer", **RECORD
            )
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)
        await self._done_following(following)

    async def _done_following(self, following: ActivityHandle[bool]) -> None:
        """What came of it is in the rows. A machine that cannot be followed any more is given up."""
        following.cancel()
        (came,) = await asyncio.gather(following, return_exceptions=True)
        if isinstance(came, ActivityError) and fault_of(came) is not Fault.NOT_WANTED:
            await self.look()
            if self._is_on_machine():
                await self._end_attempt()

    async def _end_attempt(self) -> None:
        await workflow.execute_local_activity_method(
            JobActivities.end_attempt, self.input.job_id, summary="the attempt ends without a word", **RECORD
        )

    async def _release(self) -> None:
        """Let go of the machine, and wait until the cloud says that it is gone, though not for ever."""
        await workflow.execute_local_activity_method(
            JobActivities.release_attempt, self.input.job_id, summary="release its machine", **RECORD
        )
        until = workflow.now() + RELEASE_PATIENCE
        while next_job_step(self.facts) is JobStep.RELEASE and workflow.now() < until:
            await self.await_news(until - workflow.now())
            await self.look()
        await self._conclude()

    async def _conclude(self) -> None:
        ending = await workflow.execute_local_activity_method(
            JobActivities.conclude_job, self.input.job_id, summary="what became of it", **RECORD
        )
        show_phase(ending.status.value, f"**{self.facts.summary}**: {ending.status.value}. {ending.reason}")

    @property
    def attempt(self) -> AttemptFacts:
        """Only in steps that are decided for a job with an attempt."""
        if self.facts.attempt is None:
            raise AssertionError("a step of an attempt without one")
        return self.facts.attempt

    @property
    def _attempt_id(self) -> str:
        return "" if self.facts.attempt is None else self.facts.attempt.id

    def _say(self, step: JobStep) -> None:
        attempt = self.facts.attempt
        where = "" if attempt is None else f" Attempt {attempt.number}, `instance-{attempt.instance_id}`."
        show_phase(self.facts.status.value, f"**{self.facts.summary}**: {step.value.replace('_', ' ')}.{where}")

    async def look(self) -> None:
        self._changed = False
        self.facts = await workflow.execute_local_activity_method(
            JobActivities.look_at_job, self.input.job_id, summary="read its rows", **RECORD
        )
