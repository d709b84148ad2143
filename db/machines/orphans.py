"""What the reaper noted: machines with our label that no open lease accounts for."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import false, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.machines.tables import Lease, Orphan
from domain.machines.labels import Label
from domain.machines.phases import LeaseState
from domain.machines.reaping import Candidate, Finding, KnownLease, ReapAction, Sighting

PERMISSION_HOLDS = timedelta(hours=1)
"""How long a person's permission to the reaper holds."""


async def known_leases(session: AsyncSession, labels: Sequence[str]) -> dict[str, KnownLease]:
    """What the ledger says of these labels; a label without a row is missing."""
    rows = await session.execute(select(Lease.label, Lease.state, Lease.cloud_id).where(Lease.label.in_(labels)))
    return {label: KnownLease(is_open=state is not LeaseState.CLOSED, cloud_id=id) for label, state, id in rows}


async def sightings(session: AsyncSession, account_id: int) -> dict[str, Sighting]:
    rows = await session.scalars(select(Orphan).where(Orphan.account_id == account_id, Orphan.ended_at.is_(None)))
    return {
        row.cloud_id: Sighting(
            finding=Finding(row.finding),
            first_seen_at=row.first_seen_at,
            stopped_at=row.stopped_at,
            permitted_until=row.permitted_until,
        )
        for row in rows
    }


async def present(session: AsyncSession) -> Sequence[Orphan]:
    """The candidates of all accounts: machines that the reaper may have to stop or destroy."""
    rows = await session.scalars(
        select(Orphan).where(Orphan.ended_at.is_(None)).order_by(Orphan.account_id, Orphan.cloud_id)
    )
    return rows.all()


async def permit(session: AsyncSession, shown: Sequence[Orphan]) -> int:
    """A person allows the reaper to take its next action on each of these machines, as they are shown.

    Returns how many are still candidates for the reason shown.
    """
    count = 0
    for row in shown:
        permitted = await session.execute(
            update(Orphan)
            .where(
                Orphan.account_id == row.account_id,
                Orphan.cloud_id == row.cloud_id,
                Orphan.finding == row.finding,
                Orphan.stopped_at.is_not_distinct_from(row.stopped_at),
                Orphan.first_seen_at == row.first_seen_at,
                Orphan.ended_at.is_(None),
            )
            .values(permitted_until=func.clock_timestamp() + PERMISSION_HOLDS)
            .returning(Orphan.cloud_id)
        )
        count += permitted.scalar() is not None
    return count


async def note(
    session: AsyncSession, account_id: int, found: Sequence[Candidate], hidden: Collection[Label | None] = ()
) -> list[tuple[str, str]]:
    """Record the candidates of a listing, and drop those of earlier listings that are none any more.

    One whose reason changed, or that was no candidate in between, starts its waiting time again.

    `hidden`: labels of machines that are there, whichever they are (None: any label); those stay as they were noted.
    Returns the ids and labels of those that were dropped.
    """
    now = func.clock_timestamp()
    ids = [candidate.cloud_id for candidate in found]
    may_be_there = [str(label) for label in hidden]
    dropped = await session.execute(
        update(Orphan)
        .where(Orphan.account_id == account_id, Orphan.cloud_id.not_in(ids), Orphan.ended_at.is_(None))
        .where(Orphan.label.not_in(may_be_there) if None not in hidden else false())
        .values(ended_at=now)
        .returning(Orphan.cloud_id, Orphan.label)
    )
    gone = [(cloud_id, label) for cloud_id, label in dropped]
    for candidate in found:
        await _note_one(session, account_id, candidate)
    return gone


async def _note_one(session: AsyncSession, account_id: int, candidate: Candidate) -> None:
    now = func.clock_timestamp()
    row = await session.get(Orphan, (account_id, candidate.cloud_id), with_for_update=True)
    if row is None:
        session.add(
            Orphan(
                account_id=account_id,
                cloud_id=candidate.cloud_id,
                label=candidate.label,
                finding=candidate.finding.value,
            )
        )
    else:
        if row.finding != candidate.finding.value or row.ended_at is not None:
            row.first_seen_at, row.stopped_at, row.permitted_until, row.ended_at = now, None, None, None
        row.finding, row.last_seen_at = candidate.finding.value, now
    await session.flush()


async def record_action(session: AsyncSession, account_id: int, cloud_id: str, action: ReapAction) -> None:
    column = Orphan.stopped_at if action is ReapAction.STOP else Orphan.ended_at
    await session.execute(
        update(Orphan)
        .where(Orphan.account_id == account_id, Orphan.cloud_id == cloud_id)
        .values({column: func.coalesce(column, func.clock_timestamp()), Orphan.permitted_until: None})
    )


async def database_time(session: AsyncSession) -> datetime:
    """The database's clock, which all sweeps use."""
    found = await session.scalars(select(func.clock_timestamp()))
    now: datetime = found.one()
    return now
