"""The finite sets of machines and their leases."""

from enum import StrEnum


class Power(StrEnum):
    """What a lease's holder wants of its machine: to run, or to be stopped with its disk kept."""

    RUNNING = "running"
    STOPPED = "stopped"


class LeaseState(StrEnum):
    """`reserved → asked → rented → running → releasing → closed`; any state may go to `releasing`.

    A machine that keeps files also goes `running → stopping → stopped → starting → running`, as its holder wishes.
    """

    RESERVED = "reserved"
    ASKED = "asked"
    RENTED = "rented"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    STARTING = "starting"
    RELEASING = "releasing"
    CLOSED = "closed"

    @property
    def is_open(self) -> bool:
        return self is not LeaseState.CLOSED

    @property
    def is_held(self) -> bool:
        """Whether a machine is there that was handed over, running or not."""
        return self in _HELD

    @property
    def is_moving(self) -> bool:
        """Whether the machine behind it is expected to change soon, so that it is looked at often."""
        return self in _MOVING


_HELD = frozenset({LeaseState.RUNNING, LeaseState.STOPPING, LeaseState.STOPPED, LeaseState.STARTING})


_MOVING = (
    *(LeaseState.ASKED, LeaseState.RENTED, LeaseState.STOPPING, LeaseState.STARTING),
    LeaseState.RELEASING,
)


class LeaseOutcome(StrEnum):
    """How an attempt at a machine went; shown to the user with its reason for every offer tried."""

    PENDING = "pending"
    WORKING = "working"
    SERVED = "served"
    OFFER_GONE = "offer_gone"
    REFUSED = "refused"
    ANSWER_LOST = "answer_lost"
    BOOT_FAILED = "boot_failed"
    LOST = "lost"
    CANCELLED = "cancelled"


class SshWay(StrEnum):
    """How a machine is reached: by its own port, or through the cloud's relay, which is slower (clouds.md B2.7)."""

    DIRECT = "direct"
    RELAY = "relay"

    @property
    def other(self) -> "SshWay":
        return SshWay.RELAY if self is SshWay.DIRECT else SshWay.DIRECT
