"""Play a schedule from its first event to the point where nothing moves any more."""

import contextlib

from sqlalchemy import select, update
from sqlalchemy.exc import NoResultFound

from db.instances.tables import Instance
from db.machines import orphans
from db.tables import Installation
from tests.protocol import events, rows
from tests.protocol.events import Event
from tests.protocol.invariant import PutBackNow
from tests.protocol.machines import Machine
from tests.protocol.owners import Owners
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


class Player:
    def __init__(self, world: World) -> None:
        self.world = world
        self.owners = Owners(world)
        self._copy: rows.Copy | None = None
        self._put_back_kept: PutBackNow = {}, set()
        self._was_restored = False

    async def play(self, schedule: list[Event]) -> Verdict:
        with self.world.outside():
            try:
                await self.world.begin()
                for event in schedule:
                    await self._happens(event)
                await self._settle()
                await self.world.go(2 * ROUND)  # long enough for the reaper to do something wrong
                found = await judge(self.world, at_rest=True, was_restored=self._was_restored)
                await self._note_statuses()
                for number in list(self.owners.instances):
                    await self.owners.destroy(number)
                await self._settle()
                return found + await judge(self.world, at_rest=False, was_restored=self._was_restored)
            finally:
                await self._wake_all()
                await self.world.close()

    async def _note_statuses(self) -> None:
        async with self.world.database.begin() as session:
            found = await session.scalars(select(Instance.status).order_by(Instance.id))
            self.world.statuses_at_rest = list(found.all())

    async def _happens(self, event: Event) -> None:
        match event:
            case events.Go(seconds):
                await self.world.go(seconds)
            case events.Outage(seconds):
                self.world.clock.move_to(self.world.clock.after(seconds))
            case events.Hang(place):
                self.world.gates.order(place, kill=False)
            case events.Kill(place):
                self.world.gates.order(place, kill=True)
            case events.Resume(number) if self.world.temporal.hanging:
                await self.world.temporal.resume(number)
            case events.Terminate(number) if flows := self.world.flows():
                await flows[number % len(flows)].close()
            case events.Cancel(number) if flows := self.world.flows():
                flows[number % len(flows)].cancel()
            case events.KillWorkers():
                await self.world.temporal.kill_workers()
            case events.GoOn():
                async with self.world.database.begin() as session:
                    await orphans.permit(session, await orphans.present(session))
            case events.Backup():
                async with self.world.database.begin() as session:
                    self._copy = await rows.kept(session)
                self._put_back_kept = self.world.invariant.kept()
            case events.Restore() if self._copy is not None:
                await self._restore(self._copy)
            case _:
                with contextlib.suppress(NoResultFound):  # of what a restored backup does not know
                    await self._owner_asks(event)
                await self._cloud_does(event)

    async def _owner_asks(self, event: Event) -> None:
        owners = self.owners
        match event:
            case events.Deploy(user):
                await owners.deploy(user + 1)
            case events.Create(user):
                await owners.create(user + 1)
            case events.StartJob():
                await owners.start_job(event)
            case events.CancelJob(number) if owners.jobs:
                await owners.cancel_job(number)
            case events.Ask(number, action, told) if owners.instances:
                await owners.ask(owners.instance(number), action, told=told)
            case events.TakeSnapshot(number, part) if owners.instances:
                await owners.take_snapshot(owners.instance(number), part=part)
            case events.DeleteSnapshot(number) if owners.instances:
                await owners.delete_snapshot(owners.instance(number), event)
            case events.PutBack(number) if owners.instances:
                await owners.put_back(owners.instance(number), event)
            case events.Persist(number, path) if owners.instances:
                await owners.persist(owners.instance(number), path)
            case events.Destroy(number) if owners.instances:
                await owners.destroy(owners.instance(number))
            case events.HandOver(number) if owners.instances:
                await owners.hand_over(owners.instance(number))

    async def _cloud_does(self, event: Event) -> None:
        books, now = self.world.books, self.world.clock.at
        match event:
            case events.Trouble(request, fault, times):
                self.world.cloud.trouble(request, fault, times)
            case events.Lose(number) if (machine := self._nth(number)) and not machine.is_strange:
                machine.is_gone = True
            case events.Touch(number, start) if machine := self._nth(number):
                if start:
                    machine.start(now)
                else:
                    machine.stop(now)
            case events.TakeGpu(number, back) if machine := self._nth(number):
                machine.gpu_taken = not back
                if back and machine.start_queued:
                    machine.start(now)
            case events.CutOff(number) if machine := self._nth(number):
                machine.is_cut_off = True
            case events.WriteOn(number) if machine := self._nth(number):
                machine.writes_on = True
            case events.Work(number) if machine := self._nth(number):
                machine.use(now)
            case events.HoldBack(times):
                for each in books.alive():
                    each.holds_back_files = times
            case events.LoseVault():
                self.world.vault.is_away = True
            case events.Cling(number, answer) if machine := self._nth(number):
                books.clung_to[machine.id] = answer
            case events.Orphan(label):
                made = books.made(1, 100 + len(books.machines), LOOK_ALIKES[label % len(LOOK_ALIKES)])
                made.is_strange = True
                books.machines.append(made)

    def _nth(self, number: int) -> Machine | None:
        alive = self.world.books.alive()
        return alive[number % len(alive)] if alive else None

    async def _restore(self, copy: rows.Copy) -> None:
        """With a nonce of an hour ago; and Temporal has lost its flows too."""
        async with self.world.database.begin() as session:
            await rows.put_back(session, copy)
            await session.execute(update(Installation).values(pairing_nonce="older", next_nonce=None))
        self._was_restored = True
        self.world.invariant.restored(self._put_back_kept)
        for run in self.world.flows():
            await run.close()

    async def _wake_all(self) -> None:
        while self.world.temporal.hanging:
            await self.world.temporal.resume(0)

    async def _settle(self) -> None:
        """The faults end, who hangs wakes up, somebody adopts, and time passes until nothing moves."""
        self.world.cloud.mend()
        self.world.vault.is_away = False
        for each in self.world.books.machines:
            each.is_cut_off = False
        self.world.gates.clear()
        if self._was_restored:
            await self.world.pairing.adopt()
        await self._wake_all()
        for _ in range(ROUNDS_AT_MOST):
            await self.world.go(ROUND)
            if not await unsettled(self.world):
                break
