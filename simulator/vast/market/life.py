"""A market that lives by itself: prices move, other customers come and go, bid, hosts fall silent and come back.

Times are hours of the market, which its ``rate`` relates to the wall clock (0: it stands still). The same seed gives
the same sequence of wishes; what comes of them depends on what is rented.
"""

import asyncio
import heapq
import json
import random

from simulator.vast.cloud import Cloud
from simulator.vast.instances.lifecycle import Lifecycle
from simulator.vast.market import hosts
from simulator.vast.market.bidding import standing
from simulator.vast.market.gpus import BY_NAME
from simulator.vast.records import Host

Departure = tuple[float, int, str, float]
"""when something that began will be over (hours), on which host, what it was, and how much of it"""
FACT = "market"


class MarketLife:
    def __init__(self, cloud: Cloud, lifecycle: Lifecycle) -> None:
        self._cloud = cloud
        self._lifecycle = lifecycle
        self._turn = asyncio.Lock()
        self.hours = 0.0
        self._agenda: list[Departure] = []
        self.begin_again(cloud.seed)
        if kept := cloud.store.fact(FACT):
            self.hours, agenda = json.loads(kept)
            self._agenda = [(at, host, kind, value) for at, host, kind, value in agenda]

    def begin_again(self, seed: int) -> None:
        """Draw from this seed on; what is under way goes on."""
        self._seed = seed
        self._draws: dict[str, random.Random] = {}
        self._next: dict[str, float] = {}

    def forget(self) -> None:
        """As on the first day; the hosts are as seeded."""
        self.hours, self._agenda = 0.0, []
        self.begin_again(self._cloud.seed)
        self._cloud.store.set_fact(FACT, "")

    async def advance(self, hours: float) -> int:
        """Let so much of the market's time pass; how many things happened."""
        async with self._turn:
            until, count = self.hours + hours, 0
            while (at := self._soonest()) <= until:
                self.hours = at
                await self._happen()
                count += 1
                if count % 50 == 0:
                    await asyncio.sleep(0)  # let requests be answered between
            self.hours = until
            if count:
                self._cloud.store.set_fact(FACT, json.dumps([self.hours, self._agenda]))
            return count

    def _rates(self) -> dict[str, float]:
        """How many of each kind an hour brings, over the whole market."""
        market, count = self._cloud.settings.market, len(self._cloud.hosts)
        return {
            "price": market.price_moves * len(self._cloud.offers), "customer": market.customers * count,
            "bid": market.bids * count, "silence": market.offline * count, "removal": market.removals * count,
        }  # fmt: skip

    def _soonest(self) -> float:
        for kind, rate in self._rates().items():
            if rate <= 0:
                self._next.pop(kind, None)
            elif kind not in self._next:
                self._next[kind] = self.hours + self._draw(kind).expovariate(rate)
        return min([*self._next.values(), *(entry[0] for entry in self._agenda[:1])], default=float("inf"))

    def _draw(self, kind: str) -> random.Random:
        """Each kind has chances of its own, so that one rate does not disturb another's sequence."""
        if kind not in self._draws:
            self._draws[kind] = random.Random(f"{self._seed}:{kind}")  # noqa: S311 (a simulation, not a secret)
        return self._draws[kind]

    async def _happen(self) -> None:
        if self._agenda and self._agenda[0][0] <= self.hours:
            _, number, kind, value = heapq.heappop(self._agenda)
            host = self._cloud.hosts[number]
            end_visit(host, kind, value)
            hosts.change(self._cloud, self._lifecycle, host)
            return
        kind = min(self._next, key=lambda name: self._next[name])
        del self._next[kind]
        if kind == "price":
            move_price(self._cloud, self._draw(kind))
            return
        host = self._draw(kind).choice([host for host in self._cloud.hosts.values() if not host.removed])
        if kind == "removal":
            await hosts.remove(self._cloud, self._lifecycle, host)
            return
        value, stay = self._begin_visit(host, kind)
        heapq.heappush(self._agenda, (self.hours + stay, host.id, kind, value))
        hosts.change(self._cloud, self._lifecycle, host)

    def _begin_visit(self, host: Host, kind: str) -> tuple[float, float]:
        """Somebody rents, somebody bids, or the host falls silent: how much of it, and for how many hours."""
        market, draw = self._cloud.settings.market, self._draw(kind)
        if kind == "customer":
            free = host.gpus - standing(host, self._cloud.living()).firm()
            gpus = max(0, min(free, draw.choice((1, 1, host.gpus))))
            host.visitors += gpus
            return gpus, draw.expovariate(1 / market.stay_hours)
        if kind == "bid":
            price = round(BY_NAME[host.gpu_name].price[0] * draw.uniform(0.5, 1.1), 4)
            host.rivals.append(price)
            return price, draw.expovariate(1 / market.bid_hours)
        host.offline = True
        return 0.0, draw.expovariate(1 / market.offline_hours)


def end_visit(host: Host, kind: str, value: float) -> None:
    if kind == "customer":
        host.visitors = max(0, host.visitors - int(value))
    elif kind == "bid":
        if value in host.rivals:
            host.rivals.remove(value)
    else:
        host.offline = False


def move_price(cloud: Cloud, draw: random.Random) -> None:
    """One offer asks a little more or less, within what its GPU goes for; what is rented keeps its price."""
    offer = draw.choice(list(cloud.offers.values()))
    low, high = BY_NAME[cloud.hosts[offer.machine_id].gpu_name].price
    wanted = offer.dph_base * draw.uniform(0.92, 1.08)
    offer.dph_base = round(min(max(wanted, low * offer.num_gpus), high * offer.num_gpus), 4)
    offer.min_bid = round(offer.dph_base * 0.55, 4)
    cloud.store.save("offers", offer.id, offer)
