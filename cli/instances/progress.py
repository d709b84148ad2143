"""The live view of an instance that changes: what happens, until the goal is reached."""

import sys
import time
from datetime import datetime

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from cli.api import Api, ApiRefused, Unreachable
from cli.errors import Refused
from cli.instances.format import span
from cli.instances.goal import Goal, is_reached
from cli.instances.schemas import InstanceView
from cli.instances.timeline import Timeline, event_line, since
from cli.places import command

LOOK_SECONDS = 0.3
PATIENCE_SECONDS = 60.0
"""How long a watch outlives an api that does not answer; the change itself goes on without it."""


class Watch:
    """One instance, followed from a moment of its timeline on."""

    def __init__(self, session: Api, timeline: Timeline, console: Console) -> None:
        self._session = session
        self._id = timeline.instance_id
        self._timeline = timeline
        self._console = console
        self._began: datetime | None = None
        self._started = self._answered = time.monotonic()

    def until(self, goal: Goal) -> tuple[InstanceView, bool]:
        """The instance when it has come to rest, and whether the goal is reached. Ctrl-C only ends the watching."""
        try:
            with Live(console=self._console, refresh_per_second=8, transient=True) as live:
                while True:
                    instance = self._look(live)
                    if instance is not None:
                        reached = is_reached(goal, instance, self._timeline.has)
                        if reached is not None:
                            return instance, reached
                    time.sleep(LOOK_SECONDS)
        except KeyboardInterrupt:
            self._console.print(f"\nIt goes on. {later(self._id)}", highlight=False, soft_wrap=True)
            sys.exit(130)

    def _look(self, live: Live) -> InstanceView | None:
        """One look. None: the api did not answer, and may yet."""
        try:
            instance = InstanceView.model_validate(self._session.get(f"/instances/{self._id}"))
            self._tell_news()
        except Refused as error:
            if not is_passing(error) or time.monotonic() - self._answered > PATIENCE_SECONDS:
                raise
            live.update(Spinner("dots", Text("the api does not answer; the change goes on without it", style="yellow")))
            return None
        self._answered = time.monotonic()
        live.update(Spinner("dots", picture(instance, self._answered - self._started)))
        return instance

    def _tell_news(self) -> None:
        for event in self._timeline.news():
            self._began = self._began or event.at
            self._console.print(event_line(event, since(event, self._began)), soft_wrap=True)


def later(instance_id: int) -> str:
    """How to come back to a change that goes on."""
    return f"Follow it: {command()} events {instance_id} --follow"


def picture(instance: InstanceView, seconds: float) -> Text:
    """The line of the moment."""
    done = "" if instance.progress is None else f"  {instance.progress} %"
    return Text.assemble((instance.status.value, "bold"), done, (f"  {span(seconds)}  ", "cyan"), instance.message)


def is_passing(error: Refused) -> bool:
    """Whether asking again may help."""
    return isinstance(error, Unreachable) or (isinstance(error, ApiRefused) and error.status in (502, 503, 504))
