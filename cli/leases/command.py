"""`dumont leases`: what is rented, why, for whom, since when, for how much."""

import json
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from cli.flags import AsJson, Flag
from cli.where import Where, session_at


def leases(
    *,
    all: Flag = False,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """Show what is rented for you now, and what somebody has to look at.

    Parameters
    ----------
    all
        Also what is given back already.
    as_json
        The answer as it is, for programs.
    """
    with session_at(where) as session:
        answer = session.get("/leases", all=str(all).lower())
    if as_json:
        print(json.dumps(answer, indent=2))
        return
    console = Console()
    console.print(_table(answer["leases"]) if answer["leases"] else "Nothing is rented.")
    if answer["leases"]:
        console.print(f"{answer['count']} lease(s), {answer['hourly_usd']:.3f} USD/h")
    for alarm in answer["alarms"]:
        console.print(f"! {alarm['text']}", style="red", markup=False)


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table("lease", "for", "machine", "GPU", "USD/h", "since", "cost USD", "state", "why")
    for row in rows:
        table.add_row(
            row["id"],
            f"{row['holder']['kind']} {row['holder']['id']}",
            "-" if row["provider_id"] is None else str(row["provider_id"]),
            f"{row['num_gpus']}x {row['gpu_name']}",
            f"{row['dph_total']:.3f}",
            _ago(row["rented_at"]),
            f"{row['cost_usd']:.4f}",
            row["state"],
            row["reason"] or row["outcome"],
        )
    return table


def _ago(moment: str | None) -> str:
    if moment is None:
        return "-"
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s"
