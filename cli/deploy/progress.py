"""The live picture of a deploy: each phase with its time, and the offers tried with their reasons."""

import time
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from cli.api import Api
from domain.endpoints.phases import DeploymentStage, DeploymentStatus

LOOK_SECONDS = 0.3
PHASES: list[DeploymentStage] = [stage for stage in DeploymentStage if stage is not DeploymentStage.READY]
WORDS = {
    DeploymentStage.PROVISIONING: "renting a machine and waiting for its GPU",
    DeploymentStage.STARTING_SERVER: "starting the model server",
    DeploymentStage.LOADING_MODEL: "loading the model",
    DeploymentStage.PUBLISHING: "publishing the endpoint",
}


def follow(api: Api, deployment_id: str, console: Console) -> dict[str, Any]:
    """Shows the deploy until it is ready or over, and returns its last status."""
    spinner = Spinner("dots")
    with Live(console=console, refresh_per_second=8, transient=False) as live:
        while True:
            status = api.get(f"/models/{deployment_id}/status")
            live.update(picture(status, spinner))
            if status["status"] != DeploymentStatus.DEPLOYING:
                return status
            time.sleep(LOOK_SECONDS)


def picture(status: dict[str, Any], spinner: Spinner) -> Group:
    """What the person sees at one moment."""
    table = Table.grid(padding=(0, 1))
    timings = status.get("phase_timings_ms") or {}
    for phase in PHASES:
        table.add_row(mark(phase, status, spinner), WORDS[phase], duration(timings.get(phase.value)))
    return Group(table, *tried(status), Text(str(status.get("message") or ""), style="dim"))


def mark(phase: DeploymentStage, status: dict[str, Any], spinner: Spinner) -> Text | Spinner:
    """Done, running, failed there, or still to come."""
    if status["status"] == DeploymentStatus.READY:
        return Text("✓", style="green")
    stage = status.get("stage")
    if stage == phase:
        return Text("✗", style="red") if status["status"] == DeploymentStatus.FAILED else spinner
    done = stage in list(PHASES) and PHASES.index(phase) < PHASES.index(DeploymentStage(stage))
    return Text("✓", style="green") if done else Text("·", style="dim")


def duration(milliseconds: float | None) -> Text:
    """A phase's time so far."""
    return Text("" if milliseconds is None else f"{milliseconds / 1000:.1f} s", style="cyan")


def tried(status: dict[str, Any]) -> list[Text]:
    """Each offer tried and how that went."""
    lines = []
    for offer in status.get("offers_tried") or []:
        reason = f": {offer['reason']}" if offer.get("reason") else ""
        lines.append(Text(f"  offer {offer['offer_id']} {offer['outcome']}{reason}", style="dim"))
    return lines
