"""Who holds the GPUs of a host: rented on demand first, then interruptible machines and other customers' bids, dearest
first (clouds.md A5: on demand always outranks bids, a bid that regains priority runs again by itself)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from simulator.vast.records import Contract, Host, Offer

STEP = 0.001
"""$ per hour by which a bid beats another"""


@dataclass(slots=True)
class Standing:
    """One host's GPUs now."""

    host: Host
    contracts: list[Contract]
    """the living ones on this host"""

    def firm(self, but: int | None = None) -> int:
        """GPUs that no bid can have, not counting the contract ``but``."""
        ours = (c for c in self.contracts if not c.is_bid and c.cur_state == "running" and c.id != but)
        return self.host.taken + self.host.visitors + sum(c.num_gpus for c in ours)

    def open(self) -> bool:
        return not (self.host.offline or self.host.removed)

    def fits(self, gpus: int, but: int | None = None) -> bool:
        """Is there room for so many more GPUs on demand?"""
        return self.open() and self.firm(but) + gpus <= self.host.gpus

    def winners(self, also: Contract | None = None) -> set[int]:
        """The interruptible machines whose bids are good enough; ``also`` is one that would like to run."""
        wishing = [c for c in self.contracts if c.is_bid and _wishes(c)]
        if also is not None and also not in wishing:
            wishing.append(also)
        bids = [(-c.dph_base / c.num_gpus, c.created_at, c.num_gpus, c.id) for c in wishing]
        bids += [(-price, math.inf, 1, 0) for price in self.host.rivals]
        left, found = self.host.gpus - self.firm(), set[int]()
        for _, _, gpus, number in sorted(bids):
            if gpus <= left and self.open():
                left -= gpus
                found.add(number)
        return found

    def place_for(self, contract: Contract) -> bool:
        if contract.is_bid:
            return contract.id in self.winners(also=contract)
        return self.fits(contract.num_gpus, but=contract.id)

    def needed_bid(self, offer: Offer, but: int | None = None) -> float:
        """The least bid, in $ per hour, that gets this offer's GPUs now, not counting the contract ``but``."""
        others = [c for c in self.contracts if c.is_bid and _wishes(c) and c.id != but]
        prices = [c.dph_base / c.num_gpus for c in others for _ in range(c.num_gpus)]
        prices = sorted([*prices, *self.host.rivals], reverse=True)
        place = self.host.gpus - self.firm() - offer.num_gpus
        if place < 0 or place >= len(prices):
            return offer.min_bid
        return max(offer.min_bid, math.ceil(prices[place] * offer.num_gpus / STEP + 1) * STEP)


def _wishes(contract: Contract) -> bool:
    return contract.cur_state == "running" or contract.outbid or contract.start_queued


def standing(host: Host, living: Iterable[Contract]) -> Standing:
    return Standing(host, [c for c in living if c.machine_id == host.id])


def standings(hosts: Iterable[Host], living: Iterable[Contract]) -> dict[int, Standing]:
    found = {host.id: Standing(host, []) for host in hosts}
    for contract in living:
        found[contract.machine_id].contracts.append(contract)
    return found
