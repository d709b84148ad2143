"""The model cloud's own books: what is really rented, by whom, and what was done to it."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.protocol.clock import Clock

BOOT = timedelta(seconds=4)
NOTICED = timedelta(seconds=30)
OFFERS = range(1, 7)


@dataclass
class Machine:
    id: int
    account: int
    offer: int
    label: str
    made_at: datetime
    is_strange: bool = False
    """Made by hand, not by a request of ours."""
    boots: bool = True
    exits: bool = False
    is_stopped: bool = False
    is_gone: bool = False

    def row(self, now: datetime) -> dict[str, Any]:
        """As the cloud tells of it."""
        status = "loading" if now - self.made_at < BOOT or not self.boots else "running"
        if self.is_stopped or (self.exits and status == "running"):
            status = "exited"
        return {
            "id": self.id,
            "label": self.label or None,
            "machine_id": self.offer,
            "actual_status": status,
            "intended_status": "stopped" if self.is_stopped else "running",
            "public_ipaddr": "10.0.0.1\n",
            "ports": {"22/tcp": [{"HostPort": "22"}]} if status == "running" else None,
        }

    def is_up(self, now: datetime) -> bool:
        return not self.is_gone and self.row(now)["actual_status"] == "running"


@dataclass
class Sale:
    """A rent that the cloud carries out later than it should."""

    at: datetime
    machine: Machine


Judge = Callable[[Machine], Awaitable[str | None]]
"""Why ending this machine now is wrong; None when it is right."""


class Books:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.machines: list[Machine] = []
        self.late: list[Sale] = []
        self.clung_to: set[int] = set()
        """The machines that the cloud refuses to end."""
        self.ended: list[int] = []
        """Those that were destroyed, in this order."""
        self.wrongs: list[str] = []
        self.sold: Counter[str] = Counter()
        """How often something was sold under each label."""
        self.judge: Judge

    def alive(self, account: int | None = None) -> list[Machine]:
        return [each for each in self.machines if not each.is_gone and account in (None, each.account)]

    def find(self, account: int, cloud_id: int | str) -> Machine | None:
        return next((each for each in self.alive(account) if str(each.id) == str(cloud_id)), None)

    def is_taken(self, offer: int) -> bool:
        """Whether the market has noticed that the offer went: until then it is sold as often as somebody asks."""
        noticed = self._clock.at - NOTICED
        return any(each.offer == offer and each.made_at < noticed for each in self.alive())

    def made(self, account: int, offer: int, label: str, **traits: bool) -> Machine:
        """A machine that is there from when it is put into the books."""
        number = 1000 + len(self.machines) + len(self.late)
        return Machine(number, account, offer, label, self._clock.at, **traits)

    def carry_out_late_sales(self) -> None:
        for sale in [sale for sale in self.late if sale.at <= self._clock.at]:
            self.late.remove(sale)
            sale.machine.made_at = self._clock.at
            self.machines.append(sale.machine)

    async def end(self, machine: Machine) -> None:
        await self._judge(machine, "destroyed")
        machine.is_gone = True
        self.ended.append(machine.id)

    async def stop(self, machine: Machine) -> None:
        await self._judge(machine, "stopped")
        machine.is_stopped = True

    async def _judge(self, machine: Machine, done: str) -> None:
        if (why := await self.judge(machine)) is not None:
            self.wrongs.append(f"machine {machine.id} ({machine.label}) was {done}: {why}")
