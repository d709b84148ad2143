"""A local installation's simulator may listen on another port after a restart; accounts and keys must follow.

The address of a cloud is part of its accounts and keys, so that a lease is only ever released where it was rented. The
simulator of an installation is the same cloud on any port; without this its machines would never be found again.
"""

from sqlalchemy import Connection, update
from sqlalchemy.orm import aliased

from db.accounts.tables import Account, ProviderKey

LOCAL = r"^https?://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?/?$"


def follow_simulator(connection: Connection, url: str) -> None:
    """Point every account and key of a simulator on this computer to where it listens now."""
    known = aliased(Account)
    known_there = (
        known.__table__.select().where(known.url == url, known.cloud_user_id == Account.cloud_user_id).exists()
    )
    moved = Account.url.regexp_match(LOCAL) & (Account.url != url)
    connection.execute(update(Account).where(moved, ~known_there).values(url=url))
    connection.execute(
        update(ProviderKey).where(ProviderKey.url.regexp_match(LOCAL), ProviderKey.url != url).values(url=url)
    )
