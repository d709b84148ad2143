"""`dumont events`: an instance's own timeline."""

import time

from rich.console import Console

from cli.errors import Refused
from cli.flags import AsJson, Flag
from cli.instances.find import find
from cli.instances.format import local
from cli.instances.progress import PATIENCE_SECONDS, is_passing
from cli.instances.schemas import TimelineEvent
from cli.instances.timeline import Timeline, event_line
from cli.where import Where, session_at

LOOK_SECONDS = 0.5


def events(
    name: str, /, *, follow: Flag = False, last: int = 50, as_json: AsJson = False, where: Where | None = None
) -> None:
    """Show what happened to an instance, oldest first.

    Parameters
    ----------
    name
        Id or label.
    follow
        Stay, and show what happens as it happens; Ctrl-C ends the watching.
    last
        How many of the past ones to show.
    """
    with session_at(where) as session:
        timeline = Timeline(session, find(session, name).id)
        show(timeline.news()[-last:] if last > 0 else [], as_json=as_json)
        if follow:
            keep_showing(timeline, as_json=as_json)


def keep_showing(timeline: Timeline, *, as_json: bool) -> None:
    """New ones as they come; an api that restarts is waited for."""
    answered = time.monotonic()
    while True:
        time.sleep(LOOK_SECONDS)
        try:
            show(timeline.news(), as_json=as_json)
            answered = time.monotonic()
        except Refused as error:
            if not is_passing(error) or time.monotonic() - answered > PATIENCE_SECONDS:
                raise


def show(found: list[TimelineEvent], *, as_json: bool) -> None:
    """A line each; for programs a JSON object a line."""
    console = Console()
    for event in found:
        if as_json:
            print(event.model_dump_json(), flush=True)
        else:
            console.print(event_line(event, local(event.at)), soft_wrap=True)
