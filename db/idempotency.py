"""One `Idempotency-Key` starts one thing: its claim and its answer are written in the transaction that starts it.

Neither a crash nor a refusal leaves a claim behind. Of two requests at the same moment the second waits for the primary
key until the first commits, and then reads its answer.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import ColumnElement

from db.tables import Idempotency

KEPT_FOR = timedelta(hours=24)
_LIVE = Idempotency.created_at > func.now() - KEPT_FOR


class Claim:
    """Identifies a request: the caller, the route, the key, and the digest of the body."""

    def __init__(self, user_id: int, route: str, key: str, body_hash: str) -> None:
        self.user_id, self.route, self.key, self.body_hash = user_id, route, key, body_hash

    @property
    def row(self) -> ColumnElement[bool]:
        return and_(Idempotency.user_id == self.user_id, Idempotency.route == self.route, Idempotency.key == self.key)


async def answered(session: AsyncSession, claim: Claim) -> Idempotency | None:
    """The kept answer to this key, if any."""
    return (await session.scalars(select(Idempotency).where(claim.row, _LIVE))).one_or_none()


async def take(session: AsyncSession, claim: Claim) -> bool:
    """Claim the key within the starting transaction. False: it was answered meanwhile."""
    await session.execute(delete(Idempotency).where(Idempotency.created_at <= func.now() - KEPT_FOR))
    values = {"user_id": claim.user_id, "route": claim.route, "key": claim.key, "body_hash": claim.body_hash}
    made = await session.scalar(insert(Idempotency).values(values).on_conflict_do_nothing().returning(Idempotency.key))
    return made is not None


async def keep(session: AsyncSession, claim: Claim, status_code: int, answer: dict[str, Any]) -> None:
    """Keep the answer; it appears with the commit of what it answers for."""
    await session.execute(update(Idempotency).where(claim.row).values(status_code=status_code, answer=answer))
