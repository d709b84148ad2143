"""Tokens that a machine shows us: derived from the lease and what they are good for, so nothing has to be kept.

Whether the lease is still open is for the caller to see: a token is as good as its lease.
"""

import base64
import hashlib
import hmac

from db.sealing import Sealer


def lease_token(sealer: Sealer, lease_id: str, purpose: str) -> str:
    """The token of a lease for one purpose, such as `vault`."""
    return f"{lease_id}.{_signature(sealer.signing_keys[0], lease_id, purpose)}"


def lease_of(sealer: Sealer, token: str, purpose: str) -> str | None:
    """The lease whose token for this purpose this is. None: none of ours."""
    lease_id, _, given = token.partition(".")
    for key in sealer.signing_keys:
        if hmac.compare_digest(_signature(key, lease_id, purpose).encode(), given.encode(errors="replace")):
            return lease_id
    return None


def _signature(key: bytes, lease_id: str, purpose: str) -> str:
    made = hmac.digest(key, f"lease-token/{purpose}/{lease_id}".encode(errors="replace"), hashlib.sha256)
    return base64.urlsafe_b64encode(made).decode().rstrip("=")
