"""What workflows/machine.py does, for one lease: rent, boot, hold, release."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from activities.errors import Fault, Final
from activities.machines.leases import LeaseEnding
from domain.machines.machines import BootDecision, MachineSeen, boot_decision, is_lost
from domain.machines.phases import LeaseOutcome, LeaseState
from domain.workflow_contracts import LeaseView
from tests.protocol.attempts import Activity
from tests.protocol.flows import Flow
from workflows.machine import OUTCOMES

if TYPE_CHECKING:
    from tests.protocol.world import World

BOOT_DEADLINE = timedelta(seconds=60)


class MachineFlow(Flow):
    def __init__(self, world: "World", lease_id: str) -> None:
        super().__init__(world)
        self.lease_id = lease_id
        self.phase = "rent"
        self.seen = MachineSeen()
        self._served = False
        self._deadline = world.clock.at
        self._ending: LeaseEnding

    async def next_call(self) -> tuple[Activity, Any] | None:
        world = self.world
        if self.phase == "rent":
            return world.machines.rent_machine, self.lease_id
        if self.phase in ("boot", "hold"):
            return world.leases.look_at_lease, self.lease_id
        if self.phase == "probe":
            return world.probe, self.lease_id
        if self.phase == "ending":
            return world.leases.record_ending, self._ending
        return world.machines.release_machine, self.lease_id

    async def done(self, result: Any) -> None:
        if self.phase == "rent":
            self._rented(result)
        elif self.phase in ("boot", "hold"):
            return self._judge(result)
        elif self.phase == "probe":
            self._hold()
        elif self.phase == "ending":
            self._go_to("release")
        else:
            self.end()
        await self.world.tell_holder(self.lease_id)

    def _rented(self, lease: LeaseView) -> None:
        if self.seen.since is None:
            self.seen = lease.seen
        if lease.state in (LeaseState.RELEASING, LeaseState.CLOSED):
            return self._go_to("release")
        self._deadline = self.world.clock.at + BOOT_DEADLINE
        self.world.watch(lease.account_id)
        if lease.state is LeaseState.RUNNING:
            return self._hold()
        self._go_to("boot")

    def _hold(self) -> None:
        self._served = True
        self._go_to("hold")

    def _judge(self, lease: LeaseView) -> None:
        now, patience = self.world.clock.at, self.world.patience
        if not lease.wanted:
            return self._end(Fault.NOT_WANTED, "released by its holder")
        if self.phase == "hold":
            if is_lost(self.seen, now, patience):
                return self._end(Fault.MACHINE_LOST, "lost")
            return self.rest(self._settles(None))
        decision = boot_decision(self.seen, now, patience)
        if decision is BootDecision.UP:
            return self._go_to("probe")
        if decision is BootDecision.FAILED or now >= self._deadline:
            return self._end(Fault.BOOT_FAILED, "it did not start")
        return self.rest(self._settles(self._deadline))

    def _settles(self, latest: datetime | None) -> datetime | None:
        settles = None if self.seen.since is None else self.seen.since + self.world.patience
        if settles is None or settles <= self.world.clock.at:
            return latest
        return settles if latest is None else min(settles, latest)

    def signal(self) -> None:
        if self.phase in ("boot", "hold"):
            super().signal()

    async def refused(self, error: Final) -> None:
        if self.phase != "rent":
            self.world.unforeseen.append(error)  # nothing after the rent may ever be given up
            return await super().refused(error)
        self._end(Fault(str(error.type)), error.message)

    def _end(self, fault: Fault, reason: str) -> None:
        outcome = LeaseOutcome.SERVED if self._served else LeaseOutcome.CANCELLED
        if fault is not Fault.NOT_WANTED:
            outcome = OUTCOMES.get(fault, LeaseOutcome.REFUSED)
        self._ending = LeaseEnding(lease_id=self.lease_id, outcome=outcome, reason=reason)
        self._go_to("ending")

    def _go_to(self, phase: str) -> None:
        self.phase = phase
        self.due = self.world.clock.at
