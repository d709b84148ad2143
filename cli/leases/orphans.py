"""`dumont orphans`: machines of ours without a lease, and a person's permission for the reaper to act on them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.prompt import Confirm

from cli.errors import CommandRefused
from cli.leases.direct import settings_of, told
from db.machines.orphans import PERMISSION_HOLDS, permit, present
from db.machines.tables import Orphan
from db.session import Database


def orphans(*machines: str, go_on: bool = False, yes: bool = False, data_dir: Path | None = None) -> None:
    """Show the machines that carry our label and that no open lease accounts for, with what the reaper will do.

    When there are more of them than the reaper may act on by itself, it does nothing and raises an alarm. If you have
    looked and agree, permit it to go on with exactly the machines shown: once, and within the hour.

    Parameters
    ----------
    machines
        Only these, by the cloud's ids [default: all].
    go_on
        Let the reaper act on the machines shown, however many they are.
    yes
        Do not ask.
    data_dir
        The folder of the installation; its settings are used.
    """
    asyncio.run(_orphans(set(machines), settings_of(data_dir).database_url, go_on=go_on, yes=yes))


async def _orphans(machines: set[str], database_url: str, *, go_on: bool, yes: bool) -> None:
    console, database = Console(), Database(database_url)
    try:
        async with database.begin() as session:
            found = [row for row in await present(session) if not machines or row.cloud_id in machines]
        if missing := machines - {row.cloud_id for row in found}:
            raise CommandRefused(f"No such orphan: {', '.join(sorted(missing))}. Nothing was changed.")
        for row in found:
            console.print(told(row), markup=False, soft_wrap=True)
        if not found:
            console.print("No machine of ours is without its lease.")
        elif go_on:
            await _go_on(console, database, found, yes=yes)
    finally:
        await database.close()


async def _go_on(console: Console, database: Database, shown: Sequence[Orphan], *, yes: bool) -> None:
    if not yes and not Confirm.ask(f"Let the reaper act on these {len(shown)}?", default=False):
        raise CommandRefused("Nothing was changed.")
    async with database.begin() as session:
        count = await permit(session, shown)
    minutes = int(PERMISSION_HOLDS.total_seconds() / 60)
    console.print(f"The reaper acts on {count} of them in its next sweeps; the permission holds for {minutes} minutes.")
    if count < len(shown):
        console.print("The others are no orphans any more, or for another reason: look again.")
