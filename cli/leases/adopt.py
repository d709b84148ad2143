"""`dumont adopt`: a person has looked after a restored backup, and the reaper may act again."""

import asyncio
from pathlib import Path

from rich.console import Console
from rich.prompt import Confirm
from sqlalchemy import select

from activities.machines.pairing import PairingActivities
from cli.errors import CommandRefused
from cli.leases.direct import settings_of, told
from db.machines.orphans import present
from db.session import Database
from db.tables import Installation
from settings import Settings
from workflow_client.client import connect


def adopt(*, yes: bool = False, former: bool = False, data_dir: Path | None = None) -> None:
    """Take PostgreSQL and Temporal for a pair again after one of them was restored. Shows what the reaper will do then.

    Parameters
    ----------
    yes
        Do not ask.
    former
        The installation that this one was copied from is gone: release its machines too.
    data_dir
        The folder of the installation; its settings are used.
    """
    asyncio.run(_adopt(settings_of(data_dir), yes=yes, former=former))


async def _adopt(settings: Settings, *, yes: bool, former: bool) -> None:
    console = Console()
    database = Database(settings.database_url)
    try:
        async with database.begin() as session:
            why = (await session.scalars(select(Installation.needs_adoption))).one()
            orphans = await present(session)
        if why is None and not former:
            console.print("Nothing to adopt: PostgreSQL and Temporal belong together.")
            return
        console.print(
            why or "Machines of the installation that this one was copied from will be released.", markup=False
        )
        for orphan in orphans:
            console.print(told(orphan), markup=False)
        if not yes and not Confirm.ask("Let the reaper act again?", default=False):
            raise CommandRefused("Nothing was changed.")
        await PairingActivities(database, await connect(settings), settings).adopt(former=former)
        console.print("Adopted. The reaper acts from its next sweep on.")
    finally:
        await database.close()
