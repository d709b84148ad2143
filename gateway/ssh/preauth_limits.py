"""How many may be at the door who have not shown a key yet: scanners come all day, wake nothing, and cost little."""

from collections import Counter
from dataclasses import dataclass, field

from gateway.http.rate import Buckets

AT_ONCE = 512
AT_ONCE_PER_ADDRESS = 64
STRANGERS_PER_SECOND = 2.0
STRANGERS_BURST = 150.0
"""Connections from one address that end without a login, beyond which it waits. A login gives its token back."""


@dataclass
class Newcomers:
    """Counts. `turned_away`: connections closed before a byte was said."""

    by_address: Counter[str] = field(default_factory=Counter)
    buckets: Buckets = field(default_factory=lambda: Buckets(STRANGERS_PER_SECOND, STRANGERS_BURST))
    turned_away: int = 0
    strangers: int = 0
    logins: int = 0

    def admit(self, address: str) -> "Newcomer | None":
        """None: not now."""
        many = self.by_address[address] >= AT_ONCE_PER_ADDRESS or self.by_address.total() >= AT_ONCE
        if many or self.buckets.take(address) > 0:
            self.turned_away += 1
            if not self.by_address[address]:
                del self.by_address[address]
            return None
        self.by_address[address] += 1
        return Newcomer(self, address)


@dataclass
class Newcomer:
    """A connection that has not logged in yet."""

    newcomers: Newcomers
    address: str
    waits: bool = True

    def logged_in(self) -> None:
        if self._over():
            self.newcomers.logins += 1
            self.newcomers.buckets.give_back(self.address)

    def left(self) -> None:
        if self._over():
            self.newcomers.strangers += 1

    def _over(self) -> bool:
        waited, self.waits = self.waits, False
        if waited:
            self.newcomers.by_address[self.address] -= 1
            if not self.newcomers.by_address[self.address]:
                del self.newcomers.by_address[self.address]
        return waited
