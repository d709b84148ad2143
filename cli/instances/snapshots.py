"""`dumont snapshots` and `dumont snapshot`: copies of an instance's files."""

import json
import sys
import time
import uuid

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Column, Table
from rich.text import Text

from cli.api import Api
from cli.flags import AsJson, Detach
from cli.instances.find import PAGE, find
from cli.instances.format import local, size
from cli.instances.progress import LOOK_SECONDS
from cli.instances.schemas import SnapshotView
from cli.places import command
from cli.where import Where, session_at
from domain.snapshots.phases import SnapshotStatus


def snapshots(name: str | None = None, /, *, as_json: AsJson = False, where: Where | None = None) -> None:
    """Show the snapshots of one instance, or of all, newest first.

    Parameters
    ----------
    name
        Id or label of the instance [default: all of them, also those that were destroyed].
    """
    with session_at(where) as session:
        instance = find(session, name).id if name else None
        rows = list(session.pages("/snapshots", "snapshots", instance_id=instance, limit=PAGE))
    if as_json:
        print(json.dumps({"snapshots": rows, "count": len(rows)}, indent=2))
    elif rows:
        Console().print(table([SnapshotView.model_validate(row) for row in rows]))
    else:
        Console().print(f"There is no snapshot. `{command()} snapshot NAME` takes one; so does every pause.")


def table(rows: list[SnapshotView]) -> Table:
    """One line a snapshot."""
    whole = Column("id", no_wrap=True, min_width=max((len(row.id) for row in rows), default=0))  # it has to be typed
    titles = ("instance", "taken", "files", "size", "added", "state", "label")
    made = Table(whole, *titles, box=None, padding=(0, 2, 0, 0))
    for row in rows:
        made.add_row(
            row.id,
            str(row.instance_id),
            local(row.created_at),
            "-" if row.files is None else str(row.files),
            size(row.size_bytes),
            size(row.data_added_bytes),
            state(row),
            Text(row.label or ", ".join(row.tags)),
        )
    return made


def state(row: SnapshotView) -> Text:
    """Ready is not yet verified: it was written whole, and a sample of it has not been restored so far."""
    if row.status is SnapshotStatus.READY:
        return Text("verified", style="green") if row.verified else Text("ready")
    return Text(row.status.value, style="red" if row.status is SnapshotStatus.FAILED else "cyan")


def snapshot(
    name: str,
    /,
    *,
    label: str | None = None,
    detach: Detach = False,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """Take a snapshot of an instance's files while it runs.

    Parameters
    ----------
    name
        Id or label.
    label
        What to remember it by; labelled ones are kept until you delete them.
    """
    console = Console(stderr=True)
    with session_at(where) as session:
        body = {"instance_id": find(session, name).id} | ({"label": label} if label else {})
        answer = session.post("/snapshots", body, idempotency_key=str(uuid.uuid4()))
        taken = SnapshotView.model_validate(session.get(f"/snapshots/{answer['snapshot_id']}"))
        taken = taken if detach else ended(session, taken, console)
        if as_json:
            print(json.dumps(session.get(f"/snapshots/{taken.id}"), indent=2))
    tell(taken, console)


def ended(session: Api, taken: SnapshotView, console: Console) -> SnapshotView:
    """The snapshot once it is whole, or has failed."""
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        while taken.status is SnapshotStatus.CREATING:
            live.update(Spinner("dots", Text(f"{taken.id}: {size(taken.size_bytes)} so far. {taken.message}")))
            time.sleep(LOOK_SECONDS)
            taken = SnapshotView.model_validate(session.get(f"/snapshots/{taken.id}"))
    return taken


def tell(taken: SnapshotView, console: Console) -> None:
    """How it went; exit status 1 where it failed."""
    if taken.status is SnapshotStatus.FAILED:
        console.print(f"{taken.id} failed: {taken.message}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    added = f", {size(taken.data_added_bytes)} of them new" if taken.data_added_bytes is not None else ""
    whole = f"{taken.files} files, {size(taken.size_bytes)}{added}" if taken.files is not None else taken.status.value
    console.print(f"{taken.id}: {whole}. Restore it: {command()} restore {taken.id}", highlight=False, markup=False)
