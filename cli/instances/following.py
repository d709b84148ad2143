"""Follows a request until the instance has reached the goal, or has come to rest in another state."""

import json
import sys
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from cli.api import Api
from cli.instances.format import span
from cli.instances.goal import Goal
from cli.instances.progress import Watch, later
from cli.instances.schemas import InstanceView
from cli.instances.timeline import Timeline
from cli.places import command
from domain.instances.phases import InstanceStatus


@dataclass(frozen=True)
class Manner:
    """How to follow a request. `console`: standard error, so that `--as-json` has standard output for itself."""

    detach: bool
    as_json: bool
    console: Console

    def give(self, answer: dict[str, Any]) -> None:
        """The answer as it is, where a program wants it."""
        if self.as_json:
            print(json.dumps(answer, indent=2))


def manner(detach: bool, as_json: bool) -> Manner:
    return Manner(detach, as_json, Console(stderr=True))


def follow(session: Api, timeline: Timeline, answer: dict[str, Any], goal: Goal, how: Manner) -> None:
    """Show the instance until the goal; exit status 1 if it came to rest in another state.

    `answer`: the api's answer to the request; printed if the person does not want to wait.
    """
    if how.detach:
        words = f"Instance {timeline.instance_id} is on its way. {later(timeline.instance_id)}"
        how.console.print(words, highlight=False, soft_wrap=True)
        how.give(answer)
        return
    last, reached = Watch(session, timeline, how.console).until(goal)
    conclude(last, reached, how.console, woken=timeline.has("wake") or timeline.has("resume"))
    if how.as_json:
        how.give(session.get(f"/instances/{last.id}"))
    if not reached:
        sys.exit(1)


def conclude(last: InstanceView, reached: bool, console: Console, *, woken: bool) -> None:
    """How it ended, and what a person wants to know then. `woken`: the last wake belongs to this request."""
    mark, style = ("✓", "bold green") if reached else ("✗", "bold red")
    words = last.message or f"It is {last.status.value}."
    console.print(f"{mark} {words}", style=style, markup=False, highlight=False, soft_wrap=True)
    report = last.last_wake
    if last.status is InstanceStatus.RUNNING and reached:
        awake = f" (awake after {span(report.seconds)}, by {report.method})" if woken and report else ""
        line = f"Log in{awake}: {command()} ssh {last.id}   or   {last.ssh_command}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    elif not reached and report and not report.worked:
        console.print(f"It could not be woken: {report.reason}", style="red", markup=False, soft_wrap=True)


def announce(made: InstanceView, console: Console) -> None:
    """What is settled of a new instance before anything is rented."""
    console.print(
        f"Instance [bold]{made.id}[/], its address for life: {made.ssh_command}", highlight=False, soft_wrap=True
    )
    for warning in made.warnings:
        console.print(f"! {warning}", style="yellow", markup=False, soft_wrap=True)
