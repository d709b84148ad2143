"""An activity from when its workflow asks for it until that has the result: attempts, backoff, timeouts.

Whoever was given up may still wake up, and nobody hears its answer.
"""

import asyncio
from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from temporalio.activity import _Definition
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.activity_result import ActivityResolution
from temporalio.bridge.proto.workflow_commands import ScheduleActivity, ScheduleLocalActivity
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.errors import Final, NotYet
from tests.protocol.temporal import wire
from tests.protocol.temporal.attempts import Attempt, Killed

if TYPE_CHECKING:
    from tests.protocol.temporal.runs import Run
    from tests.protocol.temporal.tasks import Task

GONE_AFTER = 2.0
"""Seconds until a living worker hears that nobody wants an attempt of its any more."""


class Activity(ABC):
    """What ordinary and local ones have in common."""

    def __init__(self, run: "Run", command: ScheduleActivity | ScheduleLocalActivity) -> None:
        self._run, self._command = run, command
        self._server = run.server
        self._agenda = run.server.agenda
        self._since = self._agenda.clock.at
        self._number = 0
        self._attempt: Attempt | None = None
        self._last: Failure | None = None
        self._beat: tuple[object, ...] = ()
        self.is_over = False

    @property
    def name(self) -> str:
        return self._command.activity_type

    async def begin(self) -> None:
        """The next attempt."""
        if self.is_over:
            return
        self._number += 1
        function = self._server.activities[self.name]
        definition = _Definition.must_from_callable(function)
        info = replace(
            ActivityEnvironment.default_info(),
            activity_id=self._command.activity_id or str(self._command.seq),
            activity_type=self.name,
            attempt=self._number,
            scheduled_time=self._since,
            current_attempt_scheduled_time=self._agenda.clock.at,
            started_time=self._agenda.clock.at,
            is_local=isinstance(self._command, ScheduleLocalActivity),
            workflow_id=self._run.workflow_id,
            workflow_run_id=self._run.id,
            heartbeat_details=self._beat,
        )
        given = wire.values(self._command.arguments, definition.arg_types)
        self._attempt = attempt = Attempt(function, given, info)
        longest = wire.seconds(self._command.start_to_close_timeout)
        if longest:
            self._agenda.after(longest, lambda: self._ran_too_long(attempt))
        await self._go_on(attempt)

    async def _go_on(self, attempt: Attempt) -> None:
        await attempt.go_on()
        await self.hear(attempt)

    async def hear(self, attempt: Attempt) -> None:
        """It has ended, waits, or hangs, just now or long after it was given up."""
        if attempt.is_over:
            return await self._ended(attempt)
        if attempt.rests is not None:
            self._server.resting[attempt] = self
            self._agenda.after(attempt.rests, lambda: self._rested(attempt))
        else:
            self._server.hanging.append((self, attempt))
            if attempt is self._attempt:
                await self._missed(attempt)

    async def _rested(self, attempt: Attempt) -> None:
        if self._server.resting.pop(attempt, None) is not None:
            await self._go_on(attempt)

    async def stop(self, attempt: Attempt) -> None:
        """A living worker hears that nobody wants this attempt any more."""
        if self._server.resting.pop(attempt, None) is not None:
            await attempt.cancel()
            await self.hear(attempt)

    async def _ran_too_long(self, attempt: Attempt) -> None:
        if attempt is self._attempt and not attempt.is_over and not self.is_over:
            self._agenda.after(GONE_AFTER, lambda: self.stop(attempt))
            await self._again(attempt, self._backoff())

    async def _ended(self, attempt: Attempt) -> None:
        self._beat = attempt.heartbeat
        try:
            result = attempt.result()
            self._tell("done")
        except Killed:
            self._tell("killed")
            await self._missed(attempt)
        except asyncio.CancelledError:
            self._tell("cancelled")
        except (NotYet, Final) as error:
            self._tell(f"{error.type}: {error.message}")
            await self._refused(attempt, error)
        except Exception as error:  # noqa: BLE001 - as Temporal does; the verdict looks at what came up
            self._server.unforeseen.append(error)
            self._tell(repr(error))
            await self._refused(attempt, error)
        else:
            if (listener := self._server.listeners.get(self.name)) is not None:
                await listener(attempt.arguments[0])
            if attempt is self._attempt:
                await self.resolve(wire.completed(result))

    def _tell(self, what: str) -> None:
        self._server.tell(self._run.workflow_id, f"{self.name} {what}")

    async def _refused(self, attempt: Attempt, error: Exception) -> None:
        if attempt is not self._attempt:
            return
        self._last = wire.as_failure(error)
        if isinstance(error, ApplicationError) and error.non_retryable:
            return await self.resolve(wire.failed(self.name, self._last))
        told = error.next_retry_delay if isinstance(error, ApplicationError) else None
        await self._again(attempt, self._backoff() if told is None else told.total_seconds())

    def _backoff(self) -> float:
        policy = self._command.retry_policy
        first, longest = wire.seconds(policy.initial_interval), wire.seconds(policy.maximum_interval)
        return min(first * policy.backoff_coefficient ** (self._number - 1), longest or 3600.0)

    async def _again(self, attempt: Attempt, pause: float) -> None:
        if attempt is not self._attempt or self.is_over:
            return
        self._attempt = None
        if self._deadline is not None and self._agenda.clock.after(pause) > self._deadline:
            last = self._last or wire.timeout(None)  # the server passes the last failure on as it is
            return await self.resolve(wire.failed(self.name, last, out_of_time=True))
        self._agenda.after(pause, self.begin)

    @property
    def _deadline(self) -> datetime | None:
        longest = wire.seconds(self._command.schedule_to_close_timeout)
        return self._since + timedelta(seconds=longest) if longest else None

    async def resolve(self, result: ActivityResolution) -> None:
        if not self.is_over:
            self.is_over, self._attempt = True, None
            await self._say(result)

    @abstractmethod
    async def _missed(self, attempt: Attempt) -> None:
        """It died or hangs, and gives no sign of life."""

    @abstractmethod
    async def _say(self, result: ActivityResolution) -> None:
        """To its workflow."""


class Ordinary(Activity):
    """One that the server keeps."""

    def __init__(self, run: "Run", command: ScheduleActivity) -> None:
        super().__init__(run, command)
        attempt, beats = wire.seconds(command.start_to_close_timeout), wire.seconds(command.heartbeat_timeout)
        self._patience = beats or attempt
        self._agenda.soon(self.begin)
        if self._deadline is not None:
            self._agenda.at(self._deadline, self._out_of_time)

    async def _missed(self, attempt: Attempt) -> None:
        self._agenda.after(self._patience, lambda: self._again(attempt, 0.0))

    async def _out_of_time(self) -> None:
        self.drop()
        await self.resolve(wire.failed(self.name, wire.timeout(self._last), out_of_time=True))

    def drop(self) -> None:
        """Nobody waits for it any more: its workflow does not, or is over. What runs hears of it a little later."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            self._agenda.after(GONE_AFTER, lambda: self.stop(attempt))

    def cancel(self) -> ActivityResolution:
        """Its workflow wants it no longer, and does not wait for what it says to that."""
        attempt, self._attempt, self.is_over = self._attempt, None, True
        if attempt is not None:
            self._agenda.soon(lambda: self.stop(attempt))
        return wire.cancelled(self.name)

    async def _say(self, result: ActivityResolution) -> None:
        self._run.deliver(wire.resolve(self._command.seq, result, local=False))


class Local(Activity):
    """One that the worker carries out in the middle of a workflow task: nobody else hears of it before that ends."""

    def __init__(self, task: "Task", command: ScheduleLocalActivity) -> None:
        super().__init__(task.run, command)
        self._task = task

    async def begin(self) -> None:
        if self._task.is_present:
            await super().begin()

    async def _missed(self, attempt: Attempt) -> None:
        self._task.is_lost()

    async def _say(self, result: ActivityResolution) -> None:
        await self._task.resolved(self._command.seq, result)
