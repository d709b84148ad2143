"""SSH host keys: one for each instance, for life, and one for the shared port of all gateways.

The private half is sealed and opened by gateways only; no rented machine ever holds it.
"""

import asyncssh
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.installation_identity import ensure_installation
from db.sealing import Sealer
from db.tables import Installation

PURPOSE = "ssh-host-key"


def new_identity(sealer: Sealer) -> tuple[str, str]:
    """A fresh ed25519 host key: (the public line that `known_hosts` learns, the sealed private half)."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    public = key.export_public_key().decode().strip()
    return public, sealer.seal(key.export_private_key().decode(), PURPOSE)


def open_identity(sealer: Sealer, sealed: str) -> asyncssh.SSHKey:
    """
    Raises:
        CannotOpen: sealed under a secret that we no longer have.
        asyncssh.KeyImportError: what was sealed is no key.
    """
    return asyncssh.import_private_key(sealer.open(sealed, PURPOSE))


async def shared_identity(session: AsyncSession, sealer: Sealer) -> str:
    """The sealed host key of the shared port. The first call makes it; all later ones get the same."""
    await ensure_installation(session)
    _, fresh = new_identity(sealer)
    nobody_yet = Installation.sealed_ssh_host_key.is_(None)
    await session.execute(update(Installation).where(nobody_yet).values(sealed_ssh_host_key=fresh))
    return str(await session.scalar(select(Installation.sealed_ssh_host_key)))
