"""What is seen of a machine, and what that means while it boots and while it is held."""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel

from domain.machines.phases import SshWay


class Seen(StrEnum):
    """Our reading of a cloud's listing. `UNKNOWN` is never read as `ABSENT`."""

    UNKNOWN = "unknown"
    BOOTING = "booting"
    UP = "up"
    STOPPING = "stopping"
    STOPPED = "stopped"
    OFFLINE = "offline"
    BROKEN = "broken"
    ABSENT = "absent"


class MachineSeen(BaseModel):
    """The last look at one machine: what it is, since when, and where it answers."""

    state: Seen = Seen.UNKNOWN
    since: datetime | None = None
    actual_status: str | None = None
    message: str = ""
    ssh_host: str | None = None
    ssh_port: int | None = None
    public_ipaddr: str | None = None
    ports: dict[str, int] = {}

    def same_as(self, other: "MachineSeen") -> bool:
        """Whether nothing a holder cares about changed; the moment of looking and pull progress do not count."""
        ignored = {"since", "message"}
        return self.model_dump(exclude=ignored) == other.model_dump(exclude=ignored)


_WAITED_FOR = (Seen.UNKNOWN, Seen.BOOTING, Seen.OFFLINE)
"""What may yet come up, or come back: nothing is decided between these."""


def is_news(old: MachineSeen, new: MachineSeen, *, starts: bool) -> bool:
    """Whether the machine's flow has to hear of it. `starts`: it is started again, so any change is progress."""
    if starts:
        return not new.same_as(old)
    return new.state is not old.state and not (new.state in _WAITED_FOR and old.state in _WAITED_FOR)


def ssh_ways(seen: MachineSeen) -> dict[SshWay, tuple[str, int]]:
    """Where SSH answers, as far as it is listed: a direct port may be listed later than the relay, or never."""
    found = {}
    if (direct := seen.ports.get("22/tcp")) and seen.public_ipaddr:
        found[SshWay.DIRECT] = (seen.public_ipaddr, direct)
    if seen.ssh_host and seen.ssh_port:
        found[SshWay.RELAY] = (seen.ssh_host, seen.ssh_port)
    return found


def ssh_address(seen: MachineSeen, way: SshWay) -> tuple[str, int] | None:
    """Where SSH answers by this way, or by the other one where this one is not listed."""
    ways = ssh_ways(seen)
    return ways.get(way) or next(iter(ways.values()), None)


_NOT_OURS = (Seen.ABSENT, Seen.STOPPING, Seen.STOPPED, Seen.BROKEN)


class BootDecision(StrEnum):
    WAIT = "wait"
    UP = "up"
    FAILED = "failed"


def boot_decision(seen: MachineSeen, now: datetime, patience: timedelta) -> BootDecision:
    """What to think of a machine that should be booting.

    `patience`: how long a machine may be missing from listings after its rent before it is a phantom, or read as
    stopped or broken before it has failed (a start reads `exited` for a while: clouds.md A5).
    """
    if seen.state is Seen.UP:
        return BootDecision.UP
    if seen.state in _NOT_OURS and has_lasted(seen, now, patience):
        return BootDecision.FAILED
    return BootDecision.WAIT


def is_lost(seen: MachineSeen, now: datetime, patience: timedelta) -> bool:
    """Whether a machine that was running is surely no longer ours to use. Offline may return; unknown is not lost."""
    return seen.state in _NOT_OURS and has_lasted(seen, now, patience)


def does_not_run(seen: MachineSeen) -> bool:
    """Whether it looks as if it were no longer ours to use."""
    return seen.state in _NOT_OURS


def believed_at(seen: MachineSeen, patience: timedelta, *, is_stopped: bool = False) -> datetime | None:
    """When a look that contradicts what we know is believed, if it stays so until then. None: it contradicts nothing.

    That the machine does not run; and of one that we know as stopped, that it runs.
    """
    contradicts = seen.state in _NOT_OURS or (is_stopped and seen.state is Seen.UP)
    return None if seen.since is None or not contradicts else seen.since + patience


def has_lasted(seen: MachineSeen, now: datetime, patience: timedelta) -> bool:
    """Whether it has looked so for long enough to be believed."""
    return seen.since is not None and now - seen.since >= patience
