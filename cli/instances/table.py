"""`dumont instances`: what you hold, what it costs now, when it falls asleep, how to get in."""

import json
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from cli.flags import AsJson, Flag
from cli.instances.find import PAGE
from cli.instances.format import price, span
from cli.instances.schemas import InstanceView
from cli.places import command
from cli.where import Where, session_at
from domain.instances.phases import InstanceStatus

_S = InstanceStatus
STYLES = {_S.RUNNING: "green", _S.PAUSED: "yellow", _S.HIBERNATED: "blue", _S.FAILED: "red", _S.DESTROYED: "dim"}


def instances(*, all: Flag = False, as_json: AsJson = False, where: Where | None = None) -> None:
    """Show the instances that are held at a provider now.

    Parameters
    ----------
    all
        Also those that are hibernated, ending or over.
    """
    with session_at(where) as session:
        rows = list(session.pages("/instances", "instances", all=str(all).lower(), limit=PAGE))
    if as_json:
        print(json.dumps({"instances": rows, "count": len(rows)}, indent=2))
        return
    console = Console()
    if not rows:
        more = "" if all else f" `{command()} instances --all` also shows what is hibernated or over."
        console.print(f"You hold no instance now. `{command()} create` makes one.{more}", markup=False, soft_wrap=True)
        return
    console.print(table([InstanceView.model_validate(row) for row in rows], datetime.now(UTC)))


def table(rows: list[InstanceView], now: datetime) -> Table:
    """One line an instance."""
    widest = max((len(row.ssh_command or "") for row in rows), default=0)
    ssh = Column("SSH", no_wrap=True, min_width=widest)  # to be copied whole
    made = Table("id", "label", "status", "GPU", "price now", "next", ssh, box=None, padding=(0, 2, 0, 0))
    for row in rows:
        made.add_row(
            str(row.id),
            Text(row.label or ""),
            Text(row.status.value, style=STYLES.get(row.status, "cyan")),
            row.gpu,
            price_now(row),
            Text(coming(row, now)),
            Text(row.ssh_command or "-"),
        )
    return made


def price_now(row: InstanceView) -> str:
    """What it costs at this moment; a stopped machine's disk has a price of its own, in `dumont leases`."""
    if row.status in (_S.HIBERNATED, _S.DESTROYED, _S.FAILED) or row.dph_total is None:
        return "nothing" if row.status is not _S.PROVISIONING else "-"
    return "its disk" if row.status is _S.PAUSED else price(row.dph_total)


def coming(row: InstanceView, now: datetime) -> str:
    """When it falls asleep, or what it is at."""
    if row.status is _S.RUNNING:
        return running(row, now)
    if row.status is _S.PAUSED and row.will_hibernate_at:
        return f"hibernates in {left(row.will_hibernate_at, now)}"
    return "" if row.status in (_S.PAUSED, _S.HIBERNATED, _S.DESTROYED) else row.message


def running(row: InstanceView, now: datetime) -> str:
    """Kept awake, idle and soon asleep, or in use."""
    if row.keep_awake_until and row.keep_awake_until > now:
        return f"kept awake for {left(row.keep_awake_until, now)}"
    if row.idle_since is None:
        return ""
    idle = f"idle for {span((now - row.idle_since).total_seconds())}"
    return idle if row.will_pause_at is None else f"{idle}, pauses in {left(row.will_pause_at, now)}"


def left(moment: datetime, now: datetime) -> str:
    return span((moment - now).total_seconds())
