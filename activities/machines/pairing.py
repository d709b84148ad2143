"""Whether PostgreSQL and Temporal belong together: both carry a nonce that is renewed every few minutes.

A restored backup of one of them carries an old nonce, so the ledger may be missing machines that are in use, or flows
may hold what was closed since. Until a person has looked (`dumont adopt`), the reaper then only reports. In Temporal
the nonce is the note of the reaper's schedule, which anybody may read: it proves nothing, it only tells twins apart.
"""

import secrets

from sqlalchemy import func, select
from temporalio import activity
from temporalio.client import Client, ScheduleUpdate, ScheduleUpdateInput

from db.alarms import close_alarms, raise_alarm
from db.session import Database, now
from db.tables import Installation
from domain.workflow_contracts import REAP_SCHEDULE_ID
from settings import Settings

ALARM = "not_paired"
WHY = (
    "PostgreSQL and Temporal do not carry the same pairing nonce: one of them was restored from a backup, or belongs "
    "to another installation. Machines are only reported, not reaped, until somebody has looked: dumont leases, then "
    "dumont adopt."
)

Nonces = tuple[str, str | None]
"""The present one, and the one that was announced to be the next."""


class PairingActivities:
    def __init__(self, database: Database, temporal: Client, settings: Settings) -> None:
        self._database = database
        self._temporal = temporal
        self._renew_after = settings.pairing_seconds

    @activity.defn
    async def check_pairing(self) -> bool:
        """Whether the reaper may act. Renews the nonce when it is time; a mismatch stays until `adopt`."""
        before = await self._nonces()
        note = await self._note()
        async with self._database.begin() as session:
            row = (await session.scalars(select(Installation).with_for_update())).one()
            known = _nonces_of(row)
            differs = bool(note) and note not in known
            if differs and known == before:  # else the note may have been written anew since it was read
                row.needs_adoption = row.needs_adoption or WHY
                await raise_alarm(session, ALARM, WHY)
            if differs or row.needs_adoption is not None:
                return False
            age = func.extract("epoch", func.clock_timestamp() - row.paired_at)
            due = not note or row.paired_at is None or float(await session.scalar(select(age)) or 0) > self._renew_after
        if due:
            await self._renew()
        return True

    async def adopt(self, *, former: bool = False) -> None:
        """A person has looked: take both databases as they are for a pair again.

        `former`: the installation that this one was copied from is gone; its machines are ours to reap.
        """
        note = await self._note()
        async with self._database.begin() as session:
            row = (await session.scalars(select(Installation).with_for_update())).one()
            row.needs_adoption = None
            row.pairing_nonce = note or row.pairing_nonce  # at once: a check may run before the next one is written
            if former:
                row.adopted_uids, row.former_uids = [*row.adopted_uids, *row.former_uids], []
            await close_alarms(session, ALARM)
        await self._renew()

    async def _nonces(self) -> Nonces:
        async with self._database.begin() as session:
            return _nonces_of((await session.scalars(select(Installation))).one())

    async def _renew(self) -> None:
        """Announce the new nonce in PostgreSQL, write it to Temporal, make it the nonce: each step may be the last."""
        async with self._database.begin() as session:
            row = (await session.scalars(select(Installation).with_for_update())).one()
            row.next_nonce = row.next_nonce or secrets.token_hex(8)
            nonce = row.next_nonce
        await self._write_note(nonce)
        async with self._database.begin() as session:
            row = (await session.scalars(select(Installation).with_for_update())).one()
            if row.next_nonce == nonce:
                row.pairing_nonce, row.next_nonce = nonce, None
                row.paired_at = await now(session)

    async def _note(self) -> str:
        described = await self._temporal.get_schedule_handle(REAP_SCHEDULE_ID).describe()
        return described.schedule.state.note or ""

    async def _write_note(self, nonce: str) -> None:
        def noted(present: ScheduleUpdateInput) -> ScheduleUpdate:
            present.description.schedule.state.note = nonce
            return ScheduleUpdate(present.description.schedule)

        await self._temporal.get_schedule_handle(REAP_SCHEDULE_ID).update(noted)


def _nonces_of(row: Installation) -> Nonces:
    return row.pairing_nonce, row.next_nonce
