"""The model cloud's own books: what is really rented, by whom, and what was done to it."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.protocol.clock import Clock
from tests.protocol.events import Fault
from tests.protocol.machines import Machine

NOTICED = timedelta(seconds=30)
OFFERS = range(1, 7)


@dataclass
class Late:
    """What the cloud does later than it should: a sale, or a stop."""

    at: datetime
    machine: Machine
    is_stop: bool = False


Judge = Callable[[Machine, str], Awaitable[str | None]]
"""Why doing that to this machine now is wrong; None when it is right."""


class Books:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.machines: list[Machine] = []
        self.late: list[Late] = []
        self.clung_to: dict[int, Fault] = {}
        """The machines that the cloud refuses to end."""
        self.ended: list[int] = []
        """Those that were destroyed, in this order."""
        self.wrongs: list[str] = []
        self.sold: Counter[str] = Counter()
        """How often something was sold under each label."""
        self.judge: Judge
        self.sold_twice: list[str] = []
        self.judge_of_sales: Callable[[str], Awaitable[str | None]]
        """Why nothing may be sold under this label now; None when it may."""

    def alive(self, account: int | None = None) -> list[Machine]:
        return [each for each in self.machines if not each.is_gone and account in (None, each.account)]

    def find(self, account: int, cloud_id: int | str) -> Machine | None:
        return next((each for each in self.alive(account) if str(each.id) == str(cloud_id)), None)

    def at(self, host: str) -> Machine | None:
        return next((each for each in self.alive() if each.host == host), None)

    def is_taken(self, offer: int) -> bool:
        """Whether the market has noticed that the offer went: until then it is sold as often as somebody asks."""
        noticed = self._clock.at - NOTICED
        return any(each.offer == offer and each.made_at < noticed for each in self.alive())

    def made(self, account: int, offer: int, label: str) -> Machine:
        """A machine that is there from when it is put into the books."""
        number = 1000 + len(self.machines) + len(self.late)
        return Machine(number, account, offer, label, self._clock.at)

    async def note_sale(self, label: str) -> None:
        """Something is about to be sold, whatever comes of it later."""
        if (why := await self.judge_of_sales(label)) is not None:
            self.sold_twice.append(f"{label} was rented: {why}")

    async def carry_out_late_ones(self) -> None:
        for late in [each for each in self.late if each.at <= self._clock.at]:
            self.late.remove(late)
            if late.is_stop:
                late.machine.stop(self._clock.at)
            else:
                late.machine.made_at = self._clock.at
                self.machines.append(late.machine)

    async def end(self, machine: Machine) -> None:
        await self._judge(machine, "destroyed")
        machine.is_gone = True
        self.ended.append(machine.id)

    async def stop(self, machine: Machine) -> None:
        await self._judge(machine, "stopped")
        machine.stop(self._clock.at)

    async def _judge(self, machine: Machine, done: str) -> None:
        if (why := await self.judge(machine, done)) is not None:
            self.wrongs.append(f"machine {machine.id} ({machine.label}) was {done}: {why}")
