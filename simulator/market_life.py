"""A market that lives by itself: prices move, other customers come and go, bid, hosts fall silent and come back.

Times are hours of the market, which its ``rate`` relates to the wall clock (0: it stands still). The same seed gives
the same sequence of wishes; what comes of them depends on what is rented.
"""

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable

from simulator import hosts
from simulator.bidding import standing
from simulator.cloud import Cloud
from simulator.gpus import BY_NAME
from simulator.lifecycle import Lifecycle
from simulator.records import Host

Happening = Callable[[], None]


class MarketLife:
    def __init__(self, seed: int) -> None:
        self.begin_again(seed)

    def begin_again(self, seed: int) -> None:
        """As on the first day, with this seed."""
        self.hours = 0.0
        self._seed = seed
        self._draws: dict[str, random.Random] = {}
        self._next: dict[str, float] = {}
        self._order = itertools.count()
        self._agenda: list[tuple[float, int, Happening]] = []

    async def advance(self, cloud: Cloud, lifecycle: Lifecycle, hours: float) -> int:
        """Let so much of the market's time pass; how many things happened."""
        until, count = self.hours + hours, 0
        while (at := self._soonest(cloud)) <= until:
            self.hours = at
            await self._happen(cloud, lifecycle)
            count += 1
            if count % 50 == 0:
                await asyncio.sleep(0)  # let requests be answered between
        self.hours = until
        return count

    def _rates(self, cloud: Cloud) -> dict[str, float]:
        """How many of each kind an hour brings, over the whole market."""
        market, hosts = cloud.settings.market, len(cloud.hosts)
        return {
            "price": market.price_moves * len(cloud.offers), "customer": market.customers * hosts,
            "bid": market.bids * hosts, "silence": market.offline * hosts, "removal": market.removals * hosts,
        }  # fmt: skip

    def _soonest(self, cloud: Cloud) -> float:
        for kind, rate in self._rates(cloud).items():
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

    async def _happen(self, cloud: Cloud, lifecycle: Lifecycle) -> None:
        if self._agenda and self._agenda[0][0] <= self.hours:
            heapq.heappop(self._agenda)[2]()
            return
        kind = min(self._next, key=lambda name: self._next[name])
        del self._next[kind]
        draw = self._draw(kind)
        if kind == "price":
            move_price(cloud, draw)
            return
        host = draw.choice([host for host in cloud.hosts.values() if not host.removed])
        if kind == "removal":
            await hosts.remove(cloud, lifecycle, host)
        else:
            self._visit(cloud, lifecycle, host, kind, draw)
            hosts.change(cloud, lifecycle, host)

    def _visit(self, cloud: Cloud, lifecycle: Lifecycle, host: Host, kind: str, draw: random.Random) -> None:
        """Something that begins now and ends after a while."""
        market = cloud.settings.market
        if kind == "customer":
            stay, leave = draw.expovariate(1 / market.stay_hours), take_gpus(cloud, host, draw)
        elif kind == "bid":
            stay, leave = draw.expovariate(1 / market.bid_hours), place_bid(host, draw)
        else:
            stay, leave = draw.expovariate(1 / market.offline_hours), fall_silent(host)

        def over() -> None:
            leave()
            hosts.change(cloud, lifecycle, host)

        heapq.heappush(self._agenda, (self.hours + stay, next(self._order), over))


def take_gpus(cloud: Cloud, host: Host, draw: random.Random) -> Happening:
    """Somebody rents one free GPU of the host, or all of them; what is returned ends it."""
    free = host.gpus - standing(host, cloud.living()).firm()
    gpus = max(0, min(free, draw.choice((1, 1, host.gpus))))
    host.visitors += gpus

    def leave() -> None:
        host.visitors = max(0, host.visitors - gpus)

    return leave


def place_bid(host: Host, draw: random.Random) -> Happening:
    """Somebody bids for one GPU, at up to a little more than the lowest price asked for its kind."""
    price = round(BY_NAME[host.gpu_name].price[0] * draw.uniform(0.5, 1.1), 4)
    host.rivals.append(price)

    def withdraw() -> None:
        if price in host.rivals:
            host.rivals.remove(price)

    return withdraw


def fall_silent(host: Host) -> Happening:
    host.offline = True

    def come_back() -> None:
        host.offline = False

    return come_back


def move_price(cloud: Cloud, draw: random.Random) -> None:
    """One offer asks a little more or less, within what its GPU goes for; what is rented keeps its price."""
    offer = draw.choice(list(cloud.offers.values()))
    low, high = BY_NAME[cloud.hosts[offer.machine_id].gpu_name].price
    wanted = offer.dph_base * draw.uniform(0.92, 1.08)
    offer.dph_base = round(min(max(wanted, low * offer.num_gpus), high * offer.num_gpus), 4)
    offer.min_bid = round(offer.dph_base * 0.55, 4)
    cloud.store.save("offers", offer.id, offer)
