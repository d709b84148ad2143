"""A workflow task: the workflow hears what happened, does its local activities, and says what is to be done.

Only when all of that is done does the server hear of it: a worker that dies before has done its local activities for
nothing, and the next one does them again.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from temporalio.bridge.proto.activity_result import ActivityResolution
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from tests.protocol.temporal import wire
from tests.protocol.temporal.activities import Local
from tests.protocol.temporal.wire import Job

if TYPE_CHECKING:
    from tests.protocol.temporal.runs import Run

TIMEOUT = 10.0


class Task:
    def __init__(self, run: "Run", jobs: Sequence[Job]) -> None:
        self.run, self.jobs = run, jobs
        self.activations: list[WorkflowActivation] = []
        self.commands: list[WorkflowCommand] = []
        self._began = run.server.agenda.clock.at
        self._to_begin: list[Local] = []
        self._running: dict[int, Local] = {}
        self._resolved: list[Job] = []
        self._is_going_on = False

    @property
    def is_present(self) -> bool:
        return self.run.task is self

    async def begin(self) -> None:
        await self._activate(self.jobs)
        await self._go_on()

    async def _activate(self, jobs: Sequence[Job]) -> None:
        given = self.run.activation(jobs)
        commands = await self.run.answer(given)
        if commands is None:
            return self.is_lost()
        self.activations.append(given)
        for command in commands:
            self._take(command)

    def _take(self, command: WorkflowCommand) -> None:
        kind = command.WhichOneof("variant")
        if kind == "schedule_local_activity":
            local = Local(self, command.schedule_local_activity)
            self._running[command.schedule_local_activity.seq] = local
            self._to_begin.append(local)
        elif kind == "request_cancel_local_activity":
            seq = command.request_cancel_local_activity.seq
            if (running := self._running.pop(seq, None)) is not None:
                running.is_over = True
                self._resolved.append(wire.resolve(seq, wire.cancelled(running.name), local=True))
        elif kind == "request_cancel_activity":
            self._cancel(command.request_cancel_activity.seq)
        else:
            self.commands.append(command)

    def _cancel(self, seq: int) -> None:
        """One that was asked for in this very task is not even begun."""
        unsent = [each for each in self.commands if each.HasField("schedule_activity")]
        asked = next((each for each in unsent if each.schedule_activity.seq == seq), None)
        if asked is not None:
            self.commands.remove(asked)
            result = wire.cancelled(asked.schedule_activity.activity_type)
        else:
            result = self.run.cancel_activity(seq)
        self._resolved.append(wire.resolve(seq, result, local=False))

    async def resolved(self, seq: int, result: ActivityResolution) -> None:
        if self._running.pop(seq, None) is not None:
            self._resolved.append(wire.resolve(seq, result, local=True))
            await self._go_on()

    async def _go_on(self) -> None:
        """Until it waits for a local activity, or all is done."""
        if self._is_going_on:
            return
        self._is_going_on = True
        while self.is_present:
            if self._to_begin:
                await self._to_begin.pop(0).begin()
            elif self._resolved:
                jobs, self._resolved = self._resolved, []
                await self._activate(jobs)
            elif self._running:
                break
            else:
                await self.run.done(self)
        self._is_going_on = False

    def is_lost(self) -> None:
        """Its worker died or hangs: after a while the server gives it to another."""
        agenda = self.run.server.agenda
        late = self._began.timestamp() + TIMEOUT - agenda.clock.at.timestamp()
        agenda.after(max(0.0, late), lambda: self.run.again(self))
