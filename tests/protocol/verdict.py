"""What must be true when nothing moves any more, by the model cloud's books."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

from sqlalchemy import select
from sqlalchemy.exc import NoResultFound
from sqlalchemy.ext.asyncio import AsyncSession

from db.alarms import open_alarms
from db.instances.tables import Instance
from db.jobs.jobs import open_jobs
from db.machines.leases import OPEN
from db.machines.tables import Lease
from domain.instances.phases import Desired, InstanceStatus
from domain.machines.phases import LeaseState, Power
from tests.protocol.invariant import OURS
from tests.protocol.machines import Machine
from tests.protocol.world import World

AS_WANTED = {
    Desired.RUNNING: InstanceStatus.RUNNING,
    Desired.PAUSED: InstanceStatus.PAUSED,
    Desired.HIBERNATED: InstanceStatus.HIBERNATED,
}


@dataclass
class Verdict:
    leaks: list[str] = field(default_factory=list)
    double_rents: list[str] = field(default_factory=list)
    wrong_kills: list[str] = field(default_factory=list)
    lost_files: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    unforeseen: list[str] = field(default_factory=list)

    def __add__(self, other: "Verdict") -> "Verdict":
        return Verdict(
            leaks=self.leaks + other.leaks,
            double_rents=list(dict.fromkeys(self.double_rents + other.double_rents)),
            wrong_kills=other.wrong_kills,  # these three are counted on
            lost_files=other.lost_files,
            stuck=self.stuck + other.stuck,
            unforeseen=other.unforeseen,
        )


GOOD = Verdict()


@dataclass
class Figures:
    """Sums over many schedules. One that fails is played again and again while it is shrunk, and counts each time."""

    schedules: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def count(self, verdict: Verdict) -> None:
        self.schedules += 1
        self.counts.update({each.name: len(getattr(verdict, each.name)) for each in fields(verdict)})

    def __str__(self) -> str:
        found = (f"{self.counts[each.name]} {each.name.replace('_', ' ')}" for each in fields(Verdict))
        return f"{self.schedules} schedules: {', '.join(found)}"


async def judge(world: World, *, at_rest: bool, was_restored: bool) -> Verdict:
    """`at_rest`: what is wanted is there; else everything was destroyed, and nothing of ours may be left."""
    async with world.database.begin() as session:
        rows = (await session.scalars(select(Lease).where(OPEN).order_by(Lease.id))).all()
        alarms = {alarm.kind for alarm in await open_alarms(session)}
        late = await _not_as_wanted(session)
    alive = [each for each in world.books.alive() if OURS.fullmatch(each.label)]
    found = Verdict(wrong_kills=list(world.books.wrongs), lost_files=list(await world.invariant.present()))
    found.double_rents = [] if was_restored else list(world.books.sold_twice)
    found.unforeseen = [
        repr(each) for each in world.temporal.unforeseen if not (was_restored and isinstance(each, NoResultFound))
    ]
    within_safety_limit = "reaper_safety_limit" in alarms  # told, and left to a person
    if not within_safety_limit and not (at_rest and was_restored):
        found.leaks = _unaccounted(alive, rows)
        found.stuck = [f"{row.id} {row.state}" for row in rows if not at_rest or not _serves(world, row)] + late
        holders = Counter(str(row.holder_id) for row in rows if row.wanted)
        sold = Counter() if was_restored else world.books.sold  # a lease that was put back to an hour ago asks again
        found.double_rents += [key for key, count in (sold + holders).items() if count > 1]
    return found


async def unsettled(world: World) -> bool:
    """Whether more has to happen before a verdict: something moves, or a machine has to be dealt with."""
    async with world.database.begin() as session:
        rows = (await session.scalars(select(Lease).where(OPEN))).all()
        late = await _not_as_wanted(session)
    ours = [each for each in world.books.alive() if OURS.fullmatch(each.label)]
    moving = any(not _serves(world, row) for row in rows)
    return bool(world.books.late or late or moving or _unaccounted(ours, rows))


def _unaccounted(alive: list[Machine], rows: Sequence[Lease]) -> list[str]:
    recorded = {(row.label, row.cloud_id) for row in rows}
    return [f"{each.id} {each.label}" for each in alive if (each.label, str(each.id)) not in recorded]


async def _not_as_wanted(session: AsyncSession) -> list[str]:
    """Instances that are not what their owners want, and have not said that they cannot be; jobs that are not over."""
    instances = (await session.scalars(select(Instance).order_by(Instance.id))).all()
    stuck = [
        f"instance {row.id} is {row.status}, wanted {row.desired}"
        for row in instances
        if not row.status.is_over and AS_WANTED.get(row.desired) is not row.status
    ]
    return stuck + [f"job {row.id} is {row.status}" for row in (await session.scalars(open_jobs())).all()]


def _serves(world: World, lease: Lease) -> bool:
    """Whether it is a lease at rest: its machine runs, or is stopped, as its holder wants."""
    machine = None if lease.cloud_id is None else world.books.find(lease.account_id, lease.cloud_id)
    if machine is None or not lease.wanted:
        return False
    if lease.state is LeaseState.STOPPED and (lease.power is Power.STOPPED or lease.start_refused is not None):
        return machine.is_stopped
    return lease.state is LeaseState.RUNNING and lease.power is Power.RUNNING and machine.is_up(world.clock.at)
