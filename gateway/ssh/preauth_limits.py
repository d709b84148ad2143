"""Limits for connections before login. Scanners connect all day; they wake nothing and must cost little."""

from collections import Counter
from dataclasses import dataclass, field

from gateway.http.rate import Buckets

AT_ONCE = 512
AT_ONCE_PER_ADDRESS = 64
STRANGERS_PER_SECOND = 2.0
STRANGERS_BURST = 150.0
"""Connections without a login that one address may make. A login gives its token back."""


@dataclass
class PreauthLimits:
    """Counts. `turned_away`: connections that we closed before sending a byte."""

    by_address: Counter[str] = field(default_factory=Counter)
    buckets: Buckets = field(default_factory=lambda: Buckets(STRANGERS_PER_SECOND, STRANGERS_BURST))
    turned_away: int = 0
    strangers: int = 0
    logins: int = 0

    def admit(self, address: str) -> "PreauthConnection | None":
        """Let a connection begin, or refuse it (None)."""
        many = self.by_address[address] >= AT_ONCE_PER_ADDRESS or self.by_address.total() >= AT_ONCE
        if many or self.buckets.take(address) > 0:
            self.turned_away += 1
            if not self.by_address[address]:
                del self.by_address[address]
            return None
        self.by_address[address] += 1
        return PreauthConnection(self, address)


@dataclass
class PreauthConnection:
    """A connection that has not logged in yet."""

    preauth_limits: PreauthLimits
    address: str
    waits: bool = True

    def logged_in(self) -> None:
        if self._settle():
            self.preauth_limits.logins += 1
            self.preauth_limits.buckets.give_back(self.address)

    def left(self) -> None:
        if self._settle():
            self.preauth_limits.strangers += 1

    def _settle(self) -> bool:
        waited, self.waits = self.waits, False
        if waited:
            self.preauth_limits.by_address[self.address] -= 1
            if not self.preauth_limits.by_address[self.address]:
                del self.preauth_limits.by_address[self.address]
        return waited
