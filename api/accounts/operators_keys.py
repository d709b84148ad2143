"""On one person's computer, the person's own SSH keys are the demo user's: `ssh` works without registering keys."""

import logging
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from clients.ssh_keys import MAX_LINE, NotAPublicKey, PublicKey, read_public_key
from db.accounts.ssh_keys import add_key

log = logging.getLogger(__name__)


def operators_keys(home: Path) -> list[tuple[str, PublicKey]]:
    """The public keys of `~/.ssh/*.pub`, with their files' names. Others are not opened; what is no key is left out."""
    found = []
    for file in sorted((home / ".ssh").glob("*.pub")):
        try:
            with file.open(encoding="utf-8") as opened:
                found.append((file.stem, read_public_key(opened.read(MAX_LINE + 1))))
        except (OSError, UnicodeDecodeError, NotAPublicKey) as error:
            log.info("%s is left out: %s", file.name, type(error).__name__)
    return found


async def register_keys(session: AsyncSession, user_id: int, keys: list[tuple[str, PublicKey]]) -> int:
    """Register them for the user. Returns how many are new."""
    made = [await add_key(session, user_id, name, key.line, key.fingerprint) for name, key in keys]
    return sum(is_new for _, is_new in made)
