"""Play a schedule from its first event to the point where nothing moves any more."""

from dataclasses import dataclass, field

from sqlalchemy import update

import failpoints
from db.instances.tables import Instance
from db.machines import leases, orphans
from domain.holders import instance_holder
from domain.instances.phases import Desired, InstanceStatus
from tests.protocol import events, rows
from tests.protocol.events import Event
from tests.protocol.verdict import Verdict, judge, unsettled
from tests.protocol.world import World

LOOK_ALIKES = [
    "dumont/home/lease_aaaaaaaaaaaaaaaa/x",
    "dumont/home2/lease_aaaaaaaaaaaaaaaa",
    " dumont/home/lease_aaaaaaaaaaaaaaaa",
    "Dumont/home/lease_aaaaaaaaaaaaaaaa",
    "dumont/home/",
    "dumont/home",
    "",
    "dumont/home/lease_bbbbbbbbbbbbbbbb",
]
"""Only the last one is exactly ours, though it has no lease."""
ROUND = 40
ROUNDS_AT_MOST = 20


@dataclass
class Player:
    """Keeps what the events of a schedule count by."""

    world: World
    instances: list[int] = field(default_factory=list)
    copy: rows.Copy | None = None
    was_restored: bool = False

    async def play(self, schedule: list[Event]) -> Verdict:
        failpoints.install(self.world.hit)
        try:
            await self.world.begin()
            for event in schedule:
                await self._happens(event)
            await self._settle()
            await self.world.go(2 * ROUND)  # long enough for the reaper to do something wrong
            found = await judge(self.world, at_rest=True, was_restored=self.was_restored)
            for number in self.instances:
                await self._unwish(number)
            await self._settle()
            return found + await judge(self.world, at_rest=False, was_restored=self.was_restored)
        finally:
            failpoints.install(None)
            await self._wake_all()

    async def _happens(self, event: Event) -> None:
        match event:
            case events.Go(seconds):
                await self.world.go(seconds)
            case events.Deploy(user):
                await self._new_instance(user + 1)
                self.world.start_instance(self.instances[-1])
            case events.Destroy(number) if self.instances:
                await self._unwish(self.instances[number % len(self.instances)])
            case events.HandOver(number) if self.instances:
                await self._hand_over(self.instances[number % len(self.instances)])
            case events.Terminate(number):
                self._terminate(number)
            case events.Hang(place):
                self.world.gates.order(place, kill=False)
            case events.Kill(place):
                self.world.gates.order(place, kill=True)
            case events.Resume(number) if self.world.hanging:
                await self.world.resume(number)
            case events.Trouble(request, fault, times):
                self.world.cloud.trouble(request, fault, times)
            case events.Lose(number) if alive := [each for each in self.world.books.alive() if not each.is_strange]:
                alive[number % len(alive)].is_gone = True
            case events.Cling(number) if alive := self.world.books.alive():
                self.world.books.clung_to.add(alive[number % len(alive)].id)
            case events.Orphan(label):
                self._strange(LOOK_ALIKES[label % len(LOOK_ALIKES)])
            case events.GoOn():
                async with self.world.database.begin() as session:
                    await orphans.permit(session, await orphans.present(session))
            case events.Backup():
                async with self.world.database.begin() as session:
                    self.copy = await rows.kept(session)
            case events.Restore() if self.copy is not None:
                await self._restore(self.copy)

    async def _new_instance(self, user: int, **facts: object) -> int:
        number = len(self.instances) + 1
        async with self.world.database.begin() as session:
            session.add(rows.instance(number, user, **facts))
        self.instances.append(number)
        return number

    async def _unwish(self, number: int) -> None:
        async with self.world.database.begin() as session:
            wish = update(Instance).where(Instance.id == number)
            await session.execute(wish.values(desired=Desired.DESTROYED))
        self.world.signal(f"instance-{number}")

    async def _hand_over(self, old: int) -> None:
        """A new instance takes the lease; the old one, wanted no longer, lets go of what it held."""
        row = await self.world.instance(old)
        if row is None or row.lease_id is None:
            return
        running = {"status": InstanceStatus.RUNNING, "running_at": self.world.clock.at}
        new = await self._new_instance(row.user_id, lease_id=row.lease_id, **running)
        async with self.world.database.begin() as session:
            handed = await leases.hand_over(session, row.lease_id, instance_holder(old), instance_holder(new))
            if not handed:
                await session.execute(update(Instance).where(Instance.id == new).values(lease_id=None))
        async with self.world.database.begin() as session:
            await leases.request_release(session, row.lease_id, instance_holder(old))
        await self._unwish(old)
        self.world.start_instance(new)

    def _terminate(self, number: int) -> None:
        running = [
            name for name, flow in self.world.workflows.items() if name.startswith(("machine", "instance", "watch"))
        ]
        if running:
            self.world.workflows.pop(running[number % len(running)])

    def _strange(self, label: str) -> None:
        offer = 100 + len(self.world.books.machines)
        machine = self.world.books.made(1, offer, label, is_strange=True)
        self.world.books.machines.append(machine)

    async def _restore(self, copy: rows.Copy) -> None:
        async with self.world.database.begin() as session:
            await rows.put_back(session, copy)
        self.world.is_paired, self.was_restored = False, True
        for name in [name for name in self.world.workflows if name.startswith(("machine", "instance"))]:
            self.world.workflows.pop(name)  # those whose rows are there are started anew by the reconciler

    async def _wake_all(self) -> None:
        while self.world.hanging:
            await self.world.resume(0)

    async def _settle(self) -> None:
        """The faults end, who hangs wakes up, somebody adopts, and time passes until nothing moves."""
        self.world.cloud.mend()
        self.world.gates.clear()
        self.world.is_paired = True
        await self._wake_all()
        for _ in range(ROUNDS_AT_MOST):
            await self.world.go(ROUND)
            if not await unsettled(self.world):
                break
