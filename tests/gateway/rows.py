"""The rows that others write and the gateway reads."""

import hashlib
import secrets
from typing import Any

from sqlalchemy import text, update

from db.endpoints.tables import Endpoint
from db.machines.tables import Lease
from db.sealing import Sealer
from db.session import Database
from domain.endpoints.phases import AccessType, EndpointState
from domain.ids import new_id
from domain.machines.machines import MachineSeen
from domain.machines.phases import LeaseState
from tests.db.accounts import add_account
from tests.gateway.machine import UPSTREAM_KEY, Machine

SECRETS = "a secret of the gateway's tests that is long enough"


class Rows:
    """One user with one account; endpoints and leases as asked."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.sealer = Sealer(SECRETS)

    async def begin(self) -> None:
        async with self.database.begin() as session:
            self.user_id, self.account_id, self.key_id = await add_account(session)

    async def end(self) -> None:
        """Nothing of this user is open any more: a gateway keeps a connection for every endpoint that is."""
        async with self.database.begin() as session:
            closed = update(Endpoint).where(Endpoint.user_id == self.user_id)
            await session.execute(closed.values(state=EndpointState.CLOSED, version=Endpoint.version + 1))

    async def lease(self, machine: Machine, **changes: Any) -> str:
        seen = MachineSeen(public_ipaddr="127.0.0.1", ports={"22/tcp": machine.ssh_port})
        lease_id = new_id("lease")
        row = {
            "id": lease_id,
            "account_id": self.account_id,
            "provider_key_id": self.key_id,
            "user_id": self.user_id,
            "holder_kind": "instance",
            "holder_id": "1",
            "label": f"dumont/test/{lease_id}",
            "offer_id": secrets.token_hex(5),
            "host_id": "1",
            "gpu_name": "RTX 4090",
            "num_gpus": 1,
            "price_usd_per_hour": 0.3,
            "offer": {},
            "spec": {},
            "state": LeaseState.RUNNING,
            "seen": seen.model_dump(mode="json"),
            "host_key": machine.host_key,
            "public_key": machine.public_key,
            "sealed_private_key": self.sealer.seal(machine.private_key, "lease-ssh-key"),
        }
        async with self.database.begin() as session:
            session.add(Lease(**(row | changes)))
        return lease_id

    async def endpoint(self, machine: Machine, lease_id: str | None, *, key: str | None = None, **changes: Any) -> str:
        """Returns its path. Private when it has a key."""
        path = secrets.token_urlsafe(16)
        row = {
            "id": new_id("ep"),
            "user_id": self.user_id,
            "path": path,
            "access_type": AccessType.PRIVATE if key else AccessType.PUBLIC,
            "key_hash": hashlib.sha256(key.encode()).hexdigest() if key else None,
            "model_type": "llm",
            "model_id": "tiny",
            "state": EndpointState.READY,
            "lease_id": lease_id,
            "port": machine.port,
            "sealed_upstream_key": self.sealer.seal(UPSTREAM_KEY, "endpoint-upstream-key"),
        }
        async with self.database.begin() as session:
            session.add(Endpoint(**(row | changes)))
        return path

    async def published(self, machine: Machine, **changes: Any) -> str:
        """A ready endpoint on a new lease of the machine: its path."""
        return await self.endpoint(machine, await self.lease(machine), **changes)

    async def change(self, path: str, *, notify: bool, **values: Any) -> None:
        """A new version of the endpoint, told by NOTIFY or not."""
        async with self.database.begin() as session:
            changed = update(Endpoint).where(Endpoint.path == path).returning(Endpoint.id)
            endpoint_id = await session.scalar(changed.values(version=Endpoint.version + 1, **values))
            if notify:
                await session.execute(text("SELECT pg_notify('routes', :id)"), {"id": endpoint_id})
