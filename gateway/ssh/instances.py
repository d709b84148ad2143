"""Instances with an SSH address, as the gateway knows them: one record each, and the table of all in memory."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from clients.ssh_keys import NotAPublicKey, read_public_key
from domain.instances.phases import Desired, InstanceStatus, SshWake
from gateway.routes import LeaseAddress

ASLEEP = frozenset({InstanceStatus.PAUSED, InstanceStatus.HIBERNATING, InstanceStatus.HIBERNATED})
"""There is no machine to connect to, and none will come unless somebody asks for it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SshInstance:
    """One instance. `keys`: fingerprints of the keys that may log in; `price`: USD/h of its present or last machine."""

    id: int
    user_id: int
    label: str | None
    status: InstanceStatus
    desired: Desired
    message: str
    wake: SshWake
    failed_wakes: int
    wake_seconds: float | None
    """How long its last wake took."""
    keys: frozenset[str]
    sealed_host_key: str = field(repr=False)
    price: float | None
    lease: LeaseAddress | None

    @property
    def name(self) -> str:
        return f"instance {self.id}" + (f" ({self.label})" if self.label else "")

    @property
    def is_up(self) -> bool:
        """Whether users can reach its machine. They can in `pausing`, until the machine is stopped."""
        return self.lease is not None and self.status in (InstanceStatus.RUNNING, InstanceStatus.PAUSING)

    @property
    def needs_wake(self) -> bool:
        """Whether its desired state is to sleep, so that only a wake brings it up."""
        return self.desired in (Desired.PAUSED, Desired.HIBERNATED)


@lru_cache(maxsize=10_000)
def fingerprint_of(line: str) -> str | None:
    """The key's fingerprint. A line that is no key is logged and lets nobody in (None)."""
    try:
        return read_public_key(line).fingerprint
    except NotAPublicKey:
        log.warning("an instance lists an SSH key that cannot be read")
        return None


def wake_seconds_of(report: dict[str, Any] | None) -> float | None:
    """How long the wake took that this `WakeReport` describes; None for one that failed."""
    seconds = (report or {}).get("seconds") if (report or {}).get("worked") else None
    return float(seconds) if isinstance(seconds, int | float) else None


class SshTable:
    """The instances known now. `listeners` are called after every reading of the database, with what changed."""

    def __init__(self) -> None:
        self.instances: Mapping[int, SshInstance] = {}
        self.ports: Mapping[int, int | None] = {}
        """The ports of our shard, and which instance has each; None: spare."""
        self.loaded = False
        self.listeners: list[Callable[[list[Change]], None]] = []
        self._changed: dict[int, asyncio.Event] = {}
        self._by_key: dict[str, list[SshInstance]] = {}

    def replace_all(self, instances: Iterable[SshInstance], ports: Mapping[int, int | None]) -> None:
        """Take these as all instances there are. An instance that did not change stays the same object."""
        before = self.instances
        self.instances = {new.id: _same(before.get(new.id), new) for new in instances}
        self.ports, self.loaded = ports, True
        every = before.keys() | self.instances.keys()
        changes = [Change(id, before.get(id), self.instances.get(id)) for id in every]
        changes = [change for change in changes if change.before is not change.after]
        if changes:
            self._index()
        for listener in self.listeners:
            listener(changes)
        for change in changes:
            if event := self._changed.pop(change.id, None):
                event.set()

    def named(self, name: str, fingerprint: str) -> SshInstance | None:
        """The instance that a login names by `i-12`, `12` or a label, among those that the key opens."""
        open_to_key = self._by_key.get(fingerprint, [])
        number = name.removeprefix("i-")
        if number.isascii() and number.isdigit() and len(number) <= 10:
            return next((each for each in open_to_key if each.id == int(number)), None)
        labelled = [each for each in open_to_key if each.label == name]
        return labelled[0] if len(labelled) == 1 else None

    def knows(self, fingerprint: str) -> bool:
        """Whether the key opens anything."""
        return fingerprint in self._by_key

    async def change_of(self, instance_id: int, seconds: float) -> None:
        """Wait until the instance's row changes, for at most `seconds`."""
        event = self._changed.setdefault(instance_id, asyncio.Event())
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return

    def _index(self) -> None:
        self._by_key = {}
        for instance in self.instances.values():
            for fingerprint in instance.keys:
                self._by_key.setdefault(fingerprint, []).append(instance)


@dataclass(frozen=True)
class Change:
    """One instance that changed. `before` None: it is new; `after` None: it is over."""

    id: int
    before: SshInstance | None
    after: SshInstance | None


def _same(known: SshInstance | None, new: SshInstance) -> SshInstance:
    return known if known is not None and (known is new or known == new) else new
