"""Who asks, by the lease's token, and what is theirs: the repository of the instance that the lease serves now."""

import base64
import binascii
import time
from dataclasses import dataclass

from db.instances.tables import Instance
from db.machines.lease_tokens import VAULT, lease_of
from db.machines.leases import holder_of
from db.machines.tables import Lease
from db.sealing import Sealer
from db.session import Database
from db.snapshots.snapshots import source_of
from domain.machines.phases import LeaseState
from vault.objects import Right

REMEMBERED_SECONDS = 1.0
"""A lease that closes is shut out after so long; a snapshot makes a request every few milliseconds."""


@dataclass(frozen=True)
class Holdings:
    """`own`: the instance that the machine serves; `source`: whose snapshot it shall restore, if any."""

    own: int
    source: int | None

    def right_to(self, repository: int) -> Right:
        if repository == self.own:
            return Right.APPEND
        return Right.READ if repository == self.source else Right.NONE


class Rights:
    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer
        self._remembered: dict[str, tuple[float, Holdings | None]] = {}

    async def of(self, authorization: str) -> Holdings | None:
        """What the bearer of this header holds; None: nobody, or nobody any more."""
        token = _token(authorization)
        lease_id = None if token is None else lease_of(self._sealer, token, VAULT)
        if lease_id is None:
            return None
        now = time.monotonic()
        known = self._remembered.get(lease_id)
        if known is None or now - known[0] > REMEMBERED_SECONDS:
            known = (now, await self._look_up(lease_id))
            self._remembered = {name: each for name, each in self._remembered.items() if now - each[0] < 60.0}
            self._remembered[lease_id] = known
        return known[1]

    async def _look_up(self, lease_id: str) -> Holdings | None:
        async with self._database.begin() as session:
            lease = await session.get(Lease, lease_id)
            if lease is None or not lease.wanted or lease.state in (LeaseState.RELEASING, LeaseState.CLOSED):
                return None
            if (instance_id := holder_of(lease).instance_id) is None:
                return None
            instance = await session.get_one(Instance, instance_id)
            return Holdings(instance.id, await source_of(session, instance))


def _token(authorization: str) -> str | None:
    """The password of `Basic` (restic's way) or the text of `Bearer`."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None
