"""What must be true when nothing moves any more, by the model cloud's books."""

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.exc import NoResultFound

from db.alarms import open_alarms
from db.machines.leases import OPEN
from db.machines.tables import Lease
from domain.machines.phases import LeaseState
from tests.protocol.world import OURS, World


@dataclass
class Verdict:
    leaks: list[str] = field(default_factory=list)
    double_rents: list[str] = field(default_factory=list)
    wrong_kills: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    unforeseen: list[str] = field(default_factory=list)

    def __add__(self, other: "Verdict") -> "Verdict":
        return Verdict(
            self.leaks + other.leaks,
            self.double_rents + other.double_rents,
            other.wrong_kills,  # counted on
            self.stuck + other.stuck,
            other.unforeseen,
        )


GOOD = Verdict()


@dataclass
class Figures:
    """Sums over many schedules. One that fails is played again and again while it is shrunk, and counts each time."""

    schedules: int = 0
    leaks: int = 0
    double_rents: int = 0
    wrong_kills: int = 0
    stuck: int = 0
    unforeseen: int = 0

    def count(self, verdict: Verdict) -> None:
        self.schedules += 1
        self.leaks += len(verdict.leaks)
        self.double_rents += len(verdict.double_rents)
        self.wrong_kills += len(verdict.wrong_kills)
        self.stuck += len(verdict.stuck)
        self.unforeseen += len(verdict.unforeseen)

    def __str__(self) -> str:
        return (
            f"{self.schedules} schedules: {self.leaks} leaks, {self.double_rents} double rents, "
            f"{self.wrong_kills} wrong kills, {self.stuck} stuck, {self.unforeseen} unforeseen errors"
        )


async def judge(world: World, *, at_rest: bool, was_restored: bool) -> Verdict:
    """`at_rest`: what is wanted is running; else everything was destroyed, and nothing of ours may be left."""
    async with world.database.begin() as session:
        rows = (await session.scalars(select(Lease).where(OPEN).order_by(Lease.id))).all()
        alarms = {alarm.kind for alarm in await open_alarms(session)}
    recorded = {(row.label, row.cloud_id) for row in rows}
    alive = [each for each in world.books.alive() if OURS.fullmatch(each.label)]
    found = Verdict(wrong_kills=list(world.books.wrongs))
    found.unforeseen = [
        repr(each) for each in world.unforeseen if not (was_restored and isinstance(each, NoResultFound))
    ]
    within_safety_limit = "reaper_safety_limit" in alarms  # told, and left to a person
    if not within_safety_limit and not (at_rest and was_restored):
        found.leaks = [f"{each.id} {each.label}" for each in alive if (each.label, str(each.id)) not in recorded]
        found.stuck = [f"{row.id} {row.state}" for row in rows if not at_rest or not _serves(world, row)]
        holders = Counter(row.holder_id for row in rows if row.wanted)
        sold = Counter() if was_restored else world.books.sold  # a lease that was put back to an hour ago asks again
        found.double_rents = [key for key, count in (sold + holders).items() if count > 1]
    return found


async def unsettled(world: World) -> bool:
    """Whether more has to happen before a verdict: something moves, or a machine has to be dealt with."""
    async with world.database.begin() as session:
        rows = (await session.scalars(select(Lease).where(OPEN))).all()
    recorded = {(row.label, row.cloud_id) for row in rows}
    ours = [each for each in world.books.alive() if OURS.fullmatch(each.label)]
    return bool(
        world.books.late
        or any(not _serves(world, row) for row in rows)
        or any((each.label, str(each.id)) not in recorded for each in ours)
    )


def _serves(world: World, lease: Lease) -> bool:
    machine = None if lease.cloud_id is None else world.books.find(lease.account_id, lease.cloud_id)
    return lease.state is LeaseState.RUNNING and lease.wanted and machine is not None
