"""The server: every workflow by its id, the note that pairs it with the database, and who runs, waits, or hangs."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from temporalio.api.common.v1 import Payload

from tests.protocol.temporal import wire
from tests.protocol.temporal.activities import Activity
from tests.protocol.temporal.agenda import Agenda
from tests.protocol.temporal.attempts import Attempt
from tests.protocol.temporal.runs import Run


class ModelTemporal:
    """`event_weight`: how many events each one counts for, so that histories grow long, and roll over, sooner."""

    def __init__(self, agenda: Agenda, workflows: Sequence[type], event_weight: int = 1) -> None:
        self.agenda = agenda
        self.workflows = {each.__name__: each for each in workflows}
        self.activities: Mapping[str, Callable[..., Any]] = {}
        self.event_weight = event_weight
        self.listeners: dict[str, Callable[[Any], Awaitable[None]]] = {}
        """Who is told of what an activity was given, once it is done."""
        self.thread = ThreadPoolExecutor(1, "workflows")
        self.runs: dict[str, Run] = {}
        self.note = ""
        """Of the reaper's schedule."""
        self.hanging: list[tuple[Activity, Attempt]] = []
        self.resting: dict[Attempt, Activity] = {}
        self.unforeseen: list[Exception] = []
        self.story: list[str] = []
        """What happened, line by line, for people who look at a schedule that fails."""
        self._made = 0

    def tell(self, who: str, what: str) -> None:
        """Said again and again, it stands there once."""
        if not any(line.endswith(f" {who}: {what}") for line in self.story[-6:]):
            self.story.append(f"{self.agenda.clock.at:%H:%M:%S.%f}"[:-4] + f" {who}: {what}")

    def running(self) -> list[Run]:
        return [run for run in self.runs.values() if not run.is_over]

    def find(self, workflow_id: str) -> Run | None:
        run = self.runs.get(workflow_id)
        return None if run is None or run.is_over else run

    def start(self, kind: str, workflow_id: str, given: Sequence[Payload], delay: float = 0.0) -> Run:
        """Joins the running one, if there is one."""
        if (running := self.find(workflow_id)) is not None:
            return running
        self._made += 1
        run = Run(self, kind, workflow_id, f"run-{self._made}", given)
        self.runs.pop(workflow_id, None)
        self.runs[workflow_id] = run
        run.begin(delay)
        return run

    def signal(self, workflow_id: str, name: str, arguments: Sequence[Any]) -> bool:
        """False: it does not run."""
        run = self.find(workflow_id)
        if run is not None:
            run.deliver(wire.signal(name, wire.payloads(arguments)))
        return run is not None

    async def resume(self, number: int) -> None:
        """One that hangs goes on, however much has happened since."""
        activity, attempt = self.hanging.pop(number % len(self.hanging))
        await attempt.go_on()
        await activity.hear(attempt)

    async def kill_workers(self) -> None:
        """Every worker dies at once: what was under way is missed after a while, nothing is remembered."""
        for attempt, activity in list(self.resting.items()):
            del self.resting[attempt]
            await attempt.kill()
            await activity.hear(attempt)
        for run in self.running():
            if run.task is None:
                await run.forget()

    async def close(self) -> None:
        for run in list(self.runs.values()):
            await run.close()
        while self.resting:
            attempt, _ = self.resting.popitem()
            await attempt.kill()
        self.thread.shutdown()
