"""`dumont jobs`: list, show, output, cancel, collect, artifacts."""

import json
import sys
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from cyclopts import App
from rich.console import Console
from rich.table import Table

from cli.errors import CommandRefused
from cli.flags import Flag
from cli.jobs.run import run, watch
from cli.where import Where, session_at

jobs = App(name="jobs", help="Scripts on rented GPUs: run, list, show, output, cancel, collect, artifacts.")
jobs.command(run, name="run")


@jobs.command(name="list")
def list_jobs(
    *,
    status: str | None = None,
    limit: int = 20,
    where: Where | None = None,
) -> None:
    """The newest jobs.

    Parameters
    ----------
    status
        Only these, such as running.
    limit
        How many.
    """
    with session_at(where) as session:
        answer = session.get("/jobs", status=status, limit=limit)
    console = Console()
    table = Table("job", "name", "status", "GPU", "seconds", "cost USD", "exit", "message")
    for job in answer["jobs"]:
        seconds = "-" if job["duration_seconds"] is None else f"{job['duration_seconds']:.1f}"
        code = "-" if job["exit_code"] is None else str(job["exit_code"])
        gpu, cost = job["gpu_name"] or job["gpu_type"] or "any", f"{job['total_cost']:.4f}"
        table.add_row(job["id"], job["name"], job["status"], gpu, seconds, cost, code, job["message"])
    console.print(table if answer["jobs"] else "No jobs.")


@jobs.command
def show(job: str, /, *, where: Where | None = None) -> None:
    """All that is known of a job, as JSON.

    Parameters
    ----------
    job
        Its id, such as job_k3v9q0a1b2c3d4e5.
    """
    with session_at(where) as session:
        print(json.dumps(session.get(f"/jobs/{job}"), indent=2))


@jobs.command
def output(
    job: str,
    /,
    *,
    follow: Flag = False,
    where: Where | None = None,
) -> None:
    """What a job printed.

    Parameters
    ----------
    job
        Its id.
    follow
        Go on until it is over, and end with its exit status.
    """
    with session_at(where) as session:
        if follow:
            sys.exit(watch(session, job, Console(stderr=True)))
        printed = session.get(f"/jobs/{job}/output")
    sys.stdout.write(printed["stdout"])
    sys.stderr.write(printed["stderr"])


@jobs.command
def cancel(job: str, /, *, where: Where | None = None) -> None:
    """End a job; what it printed and left is kept.

    Parameters
    ----------
    job
        Its id.
    """
    with session_at(where) as session:
        session.post(f"/jobs/{job}/cancel", {})
    Console(stderr=True).print(f"{job} is being ended; its machine is given back.", highlight=False)


@jobs.command
def collect(job: str, /, *, where: Where | None = None) -> None:
    """Fetch the files of a job now that could not be fetched; its machine waits with them.

    Parameters
    ----------
    job
        Its id.
    """
    with session_at(where) as session:
        session.post(f"/jobs/{job}/collect", {})
    Console(stderr=True).print(f"{job}: its machine is started, and its files are fetched.", highlight=False)


@jobs.command
def artifacts(
    job: str,
    /,
    *,
    to: Path | None = None,
    where: Where | None = None,
) -> None:
    """The files that a job left: listed, or downloaded.

    Parameters
    ----------
    job
        Its id.
    to
        A folder to download all of them into.
    """
    with session_at(where) as session:
        files: list[dict[str, Any]] = session.get(f"/jobs/{job}/artifacts")["artifacts"]
        for each in files:
            print(f"{each['size']:>14}  {each['sha256'][:16]}  {each['path']}")
            if to is not None:
                session.download(f"/jobs/{job}/artifacts/{quote(each['path'])}", target(to, each["path"]))


def target(folder: Path, path: str) -> Path:
    """Where a file goes; never outside of the folder."""
    parts = PurePosixPath(path).parts
    if ".." in parts or PurePosixPath(path).is_absolute():
        raise CommandRefused(f"{path} would lie outside of {folder}.")
    return folder.joinpath(*parts)
