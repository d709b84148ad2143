"""After a pause, a client that was connected does not wake the instance by reconnecting, for a quiet period.

An editor reconnects every few seconds, all night. Each attempt starts its quiet period again, so it never keeps a GPU
awake. A person waits until the period ends, or types `dumont wake`. A client is a key at an address.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

from domain.instances.phases import InstanceStatus
from gateway.ssh.instances import ASLEEP, Change

JUST_LEFT_SECONDS = 15.0
"""A client that left so shortly before the pause was disconnected by it."""

_KEPT = 50_000
_LEFT_KEPT = 1_000


class ClientIdentity(NamedTuple):
    fingerprint: str
    address: str


class ReconnectCooldown:
    """The quiet periods. `tell` sends a text to other gateways, whose `hear` takes it. `seconds`: the length of one."""

    def __init__(self, seconds: float, tell: Callable[[str], None]) -> None:
        self._seconds, self._tell = seconds, tell
        self._here: dict[int, dict[ClientIdentity, int]] = defaultdict(dict)
        self._left: dict[int, dict[ClientIdentity, float]] = defaultdict(dict)
        self._when_pausing: dict[int, set[ClientIdentity]] = {}
        self._until: dict[tuple[int, ClientIdentity], float] = {}

    def came(self, instance_id: int, client: ClientIdentity) -> None:
        """A client logged in. Called once for each of its connections."""
        here = self._here[instance_id]
        here[client] = here.get(client, 0) + 1

    def went(self, instance_id: int, client: ClientIdentity) -> None:
        here = self._here[instance_id]
        here[client] -= 1
        if not here[client]:
            del here[client]
            left = self._left[instance_id]
            if len(left) >= _LEFT_KEPT and instance_id not in self._when_pausing:
                left.clear()  # of a running instance: only the last few seconds matter
            left[client] = time.monotonic()

    def keeps_asleep(self, instance_id: int, status: InstanceStatus, client: ClientIdentity) -> bool:
        """Whether this login must not wake the instance. Asking starts the client's quiet period again.

        While the instance is pausing, clients that are connected may go on. A client whose connection the pause ended
        and that comes back is taken for an editor.
        """
        if status is InstanceStatus.PAUSING:
            was_there = client in self._when_pausing.get(instance_id, ())
            return was_there and self._here[instance_id].get(client, 0) <= 1 and client in self._left[instance_id]
        key = (instance_id, client)
        if self._until.get(key, 0.0) <= time.monotonic():
            self._until.pop(key, None)
            return False
        self._until[key] = time.monotonic() + self._seconds
        return True

    def follow(self, changes: list[Change]) -> None:
        """Begin and end quiet periods as instances fall asleep and wake."""
        for change in changes:
            before, after = change.before, change.after
            if after is None:
                self._forget(change.id)
                self._here.pop(change.id, None)
            elif after.status is InstanceStatus.PAUSING:
                if before is None or before.status is not InstanceStatus.PAUSING:
                    self._left.pop(change.id, None)
                    self._when_pausing[change.id] = set(self._here[change.id])
            elif after.status in ASLEEP:
                if before is not None and before.status not in ASLEEP:
                    self._begin(change.id)
            elif after.status is InstanceStatus.RUNNING:
                self._forget(change.id)

    def hear(self, payload: str) -> None:
        """Another gateway disconnected these clients for a pause."""
        number, _, clients = payload.partition(" ")
        if number.isdigit():
            for client in clients.split(" "):
                fingerprint, _, address = client.partition("@")
                self._until[int(number), ClientIdentity(fingerprint, address)] = time.monotonic() + self._seconds

    def _begin(self, instance_id: int) -> None:
        now = time.monotonic()
        put_out = {each for each, at in self._left[instance_id].items() if now - at < JUST_LEFT_SECONDS}
        clients = set(self._here[instance_id]) | put_out | self._when_pausing.pop(instance_id, set())
        if len(self._until) > _KEPT:
            self._until = {key: until for key, until in self._until.items() if until > now}
        for client in clients:
            self._until[instance_id, client] = now + self._seconds
            self._tell(f"{instance_id} {client.fingerprint}@{client.address}")
        self._left.pop(instance_id, None)

    def _forget(self, instance_id: int) -> None:
        self._left.pop(instance_id, None)
        self._when_pausing.pop(instance_id, None)
        for key in [key for key in self._until if key[0] == instance_id]:
            del self._until[key]
