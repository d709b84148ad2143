"""`dumont jobs run`: a script here, its output here, its exit status here; the GPU somewhere else, and gone after."""

import sys
import uuid
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.prompt import Prompt

from cli.api import Api
from cli.flags import Detach, Flag
from cli.jobs.events import follow
from cli.jobs.script import assigned, read_script
from cli.places import command
from cli.where import Where, session_at
from domain.jobs.phases import JobStatus

TIMED_OUT, INTERRUPTED = 124, 130
"""As timeout(1) and a shell say it."""


def run(
    script: Path,
    /,
    *,
    gpu: str | None = None,
    name: str | None = None,
    timeout: float = 60.0,
    max_price: float | None = None,
    num_gpus: int = 1,
    disk: float = 20.0,
    image: str | None = None,
    spot: Flag = False,
    retries: int | None = None,
    checkpoint: float | None = None,
    env: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    pip: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    setup: Path | None = None,
    output: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    detach: Detach = False,
    where: Where | None = None,
) -> None:
    """Run a script on a rented GPU, show what it prints, and end with its exit status.

    Parameters
    ----------
    script
        A file: Python, shell, or whatever its first line `#!…` names.
    gpu
        The GPU to rent, such as "RTX 4090" [default: the cheapest].
    name
        What the job is called [default: the file's name].
    timeout
        Minutes after which the script is ended.
    max_price
        The most to pay, in USD per hour.
    num_gpus
        GPUs in one machine.
    disk
        GB.
    image
        The container image [default: PyTorch with CUDA].
    spot
        A cheaper machine that may be taken away; the job is then run again on another.
    retries
        How often, at the most.
    checkpoint
        Save /workspace every so many minutes; on another machine the script begins with it.
    env
        NAME=value for the script. May be given several times; kept sealed.
    pip
        A package to install first. May be given several times.
    setup
        A shell script to run first.
    output
        A file or folder to keep [default: /workspace/output]. May be given several times.
    detach
        Return at once.
    """
    body: dict[str, Any] = {
        "name": name or script.name,
        "script": read_script(script),
        "setup_script": read_script(setup) if setup else "",
        "gpu_type": gpu,
        "timeout_minutes": timeout,
        "max_price": max_price,
        "num_gpus": num_gpus,
        "disk_size": disk,
        "image": image,
        "use_spot": spot,
        "max_retries": retries,
        "checkpoint_minutes": checkpoint,
        "env": assigned(env),
        "pip_packages": list(pip),
        "output_paths": list(output) or None,
    }
    console = Console(stderr=True)
    with session_at(where) as session:
        job = session.post("/jobs", body, idempotency_key=str(uuid.uuid4()))
        console.print(f"Job [bold]{job['id']}[/]", highlight=False)
        if detach:
            console.print(later(job["id"]), highlight=False)
            return
        sys.exit(watch(session, job["id"], console))


def watch(session: Api, job_id: str, console: Console) -> int:
    """Follow it to its end; Ctrl-C asks what to do with it. The exit status to end with."""
    while True:
        try:
            follow(session, job_id, console)
            return conclude(session.get(f"/jobs/{job_id}"), console)
        except KeyboardInterrupt:
            if not go_on(session, job_id, console):
                return INTERRUPTED


def go_on(session: Api, job_id: str, console: Console) -> bool:
    """Whether to go on watching. Without a terminal to ask on, the job is left alone."""
    chosen = "leave"
    if sys.stdin.isatty():
        console.print()
        words = "Leave the job running, cancel it, or go on watching?"
        chosen = Prompt.ask(words, choices=["leave", "cancel", "watch"], default="leave", console=console)
    if chosen == "cancel":
        session.post(f"/jobs/{job_id}/cancel", {})
        console.print("It is being ended; its machine is given back.")
        return True
    if chosen == "leave":
        console.print(f"\nThe job goes on.\n{later(job_id)}", highlight=False)
    return chosen == "watch"


def conclude(job: dict[str, Any], console: Console) -> int:
    """Say how it ended, and with which status to end."""
    style = "green" if job["status"] == JobStatus.COMPLETED else "red"
    seconds = f" after {job['duration_seconds']:.1f} s" if job["duration_seconds"] is not None else ""
    why = f": {job['error_message']}" if job["error_message"] else ""
    console.print(f"[{style}]{job['status']}[/]{seconds}, ${job['total_cost']:.4f}{why}", highlight=False)
    for note in job["notes"]:
        console.print(f"  {note}", style="dim", markup=False, highlight=False)
    if job["artifacts_count"]:
        console.print(f"{job['artifacts_count']} file(s): {command()} jobs artifacts {job['id']}", highlight=False)
    if job["exit_code"] is not None and job["status"] in (JobStatus.COMPLETED, JobStatus.FAILED):
        return int(job["exit_code"])
    return {JobStatus.TIMEOUT: TIMED_OUT, JobStatus.CANCELLED: INTERRUPTED}.get(JobStatus(job["status"]), 1)


def later(job_id: str) -> str:
    """How to come back to a job."""
    return f"Watch it:  {command()} jobs output {job_id} --follow\nCancel it: {command()} jobs cancel {job_id}"
