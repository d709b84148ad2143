"""What the reaper noted: machines with our label that no open lease accounts for."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.machines.tables import Lease, Stray
from domain.machines.phases import LeaseState
from domain.machines.reaping import Action, KnownLease, Sighting, Suspect, Verdict

WORD_HOLDS = timedelta(hours=1)
"""For how long a person's word that the reaper may act is good."""


async def known_leases(session: AsyncSession, labels: Sequence[str]) -> dict[str, KnownLease]:
    """What the ledger says of these labels; a label without a row is missing."""
    rows = await session.execute(select(Lease.label, Lease.state, Lease.cloud_id).where(Lease.label.in_(labels)))
    return {label: KnownLease(is_open=state is not LeaseState.CLOSED, cloud_id=id) for label, state, id in rows}


async def sightings(session: AsyncSession, account_id: int) -> dict[int, Sighting]:
    rows = await session.scalars(select(Stray).where(Stray.account_id == account_id, Stray.ended_at.is_(None)))
    return {
        row.cloud_id: Sighting(
            verdict=Verdict(row.verdict),
            first_seen_at=row.first_seen_at,
            stopped_at=row.stopped_at,
            permitted_until=row.permitted_until,
        )
        for row in rows
    }


async def present(session: AsyncSession) -> Sequence[Stray]:
    """The machines under suspicion now, of all accounts."""
    rows = await session.scalars(
        select(Stray).where(Stray.ended_at.is_(None)).order_by(Stray.account_id, Stray.cloud_id)
    )
    return rows.all()


async def permit(session: AsyncSession, shown: Sequence[Stray]) -> int:
    """A person has looked at these rows, as they are here: the reaper may take its next step with each of them.

    Returns how many are still under the suspicion that was shown.
    """
    count = 0
    for row in shown:
        permitted = await session.execute(
            update(Stray)
            .where(
                Stray.account_id == row.account_id,
                Stray.cloud_id == row.cloud_id,
                Stray.verdict == row.verdict,
                Stray.stopped_at.is_not_distinct_from(row.stopped_at),
                Stray.first_seen_at == row.first_seen_at,
                Stray.ended_at.is_(None),
            )
            .values(permitted_until=func.clock_timestamp() + WORD_HOLDS)
            .returning(Stray.cloud_id)
        )
        count += permitted.scalar() is not None
    return count


async def note(session: AsyncSession, account_id: int, found: Sequence[Suspect]) -> None:
    """Remember the suspects of a listing, and forget those of earlier ones that are no longer suspect.

    A suspicion that changed, or was given up in between, starts its time anew.
    """
    now = func.clock_timestamp()
    ids = [suspect.cloud_id for suspect in found]
    await session.execute(
        update(Stray)
        .where(Stray.account_id == account_id, Stray.cloud_id.not_in(ids), Stray.ended_at.is_(None))
        .values(ended_at=now)
    )
    for suspect in found:
        await _note_one(session, account_id, suspect)


async def _note_one(session: AsyncSession, account_id: int, suspect: Suspect) -> None:
    now = func.clock_timestamp()
    row = await session.get(Stray, (account_id, suspect.cloud_id), with_for_update=True)
    if row is None:
        session.add(
            Stray(account_id=account_id, cloud_id=suspect.cloud_id, label=suspect.label, verdict=suspect.verdict.value)
        )
    else:
        if row.verdict != suspect.verdict.value or row.ended_at is not None:
            row.first_seen_at, row.stopped_at, row.permitted_until, row.ended_at = now, None, None, None
        row.verdict, row.last_seen_at = suspect.verdict.value, now
    await session.flush()


async def record_action(session: AsyncSession, account_id: int, cloud_id: int, action: Action) -> None:
    column = Stray.stopped_at if action is Action.STOP else Stray.ended_at
    await session.execute(
        update(Stray)
        .where(Stray.account_id == account_id, Stray.cloud_id == cloud_id)
        .values({column: func.coalesce(column, func.clock_timestamp()), Stray.permitted_until: None})
    )


async def database_time(session: AsyncSession) -> datetime:
    """The one clock that all sweeps go by."""
    found = await session.scalars(select(func.clock_timestamp()))
    now: datetime = found.one()
    return now
