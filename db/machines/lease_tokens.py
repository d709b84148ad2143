"""A machine's token for one of our services: derived from its lease, kept nowhere, dead with the lease.

`<lease id>.<HMAC-SHA256 of purpose and lease id>`. The first secret signs, every secret verifies (db/sealing.py), so a
rotation of secrets cuts no machine off.
"""

import base64
import hashlib
import hmac

from sqlalchemy.ext.asyncio import AsyncSession

from db.machines.tables import Lease
from db.sealing import Sealer
from domain.ids import is_id
from domain.machines.phases import LeaseState

AGENT = "agent"
VAULT = "vault"
MOST_CHARACTERS = 200


def lease_token(sealer: Sealer, lease_id: str, purpose: str) -> str:
    """The token under which the lease's machine calls the service named by `purpose`."""
    return f"{lease_id}.{_signature(sealer.signing_keys[0], lease_id, purpose)}"


def lease_of(sealer: Sealer, token: str, purpose: str) -> str | None:
    """The lease that the token belongs to; None: it is invalid, or for another service. The lease may be over."""
    lease_id, _, signature = token.rpartition(".")
    if len(token) > MOST_CHARACTERS or not token.isascii() or not is_id("lease", lease_id):
        return None
    right = [hmac.compare_digest(_signature(key, lease_id, purpose), signature) for key in sealer.signing_keys]
    return lease_id if any(right) else None


async def living_lease(session: AsyncSession, lease_id: str) -> Lease | None:
    """The lease, if its tokens are still valid: they are until its machine is being released."""
    lease = await session.get(Lease, lease_id)
    if lease is None or lease.state in (LeaseState.RELEASING, LeaseState.CLOSED):
        return None
    return lease


def _signature(key: bytes, lease_id: str, purpose: str) -> str:
    digest = hmac.new(key, f"lease-token:{purpose}:{lease_id}".encode(errors="replace"), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
