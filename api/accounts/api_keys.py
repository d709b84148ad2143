"""A user's long-lived API keys: shown once, kept as a digest."""

import secrets
from typing import Any

from fastapi import APIRouter, Security
from pydantic import Field
from sqlalchemy import select

from api.deps import Me, Session
from api.errors import Conflict, NotFound
from api.guard import API_KEY_PREFIX
from api.idempotency import OnlyOnce, Starting
from api.openapi import NOT_FOUND, UNAUTHORIZED, bearer
from api.schemas import Answer, Body, Name, Time
from db.accounts.tables import ApiKey
from db.accounts.users import delete_api_key
from db.sealing import hash_key
from domain.ids import is_id, new_id

KEYS_PER_USER = 100

router = APIRouter(
    prefix="/auth/keys", tags=["auth"], route_class=Starting, dependencies=[Security(bearer)], responses=UNAUTHORIZED
)


class NewKey(Body):
    name: Name = Field(examples=["laptop"])


class KeyAnswer(Answer):
    """`hint`: the key's last characters, to tell keys apart."""

    id: str
    name: str
    hint: str
    created_at: Time
    last_used_at: Time | None


class NewKeyAnswer(KeyAnswer):
    """`key` is shown this once."""

    key: str
    message: str = "Keep this key now: it is not shown again."


class KeysAnswer(Answer):
    keys: list[KeyAnswer]
    count: int
    total: int
    next_cursor: str | None = None


class KeyDeleted(Answer):
    success: bool = True
    id: str


@router.post("", status_code=201, summary="Make an API key")
async def make_key(body: NewKey, me: Me, session: Session, once: OnlyOnce) -> NewKeyAnswer:
    await once.claim(session)
    if len((await session.scalars(select(ApiKey.id).where(ApiKey.user_id == me.id))).all()) >= KEYS_PER_USER:
        raise Conflict("too_many_keys", f"{KEYS_PER_USER} API keys are the most. Delete one first.")
    key = API_KEY_PREFIX + secrets.token_urlsafe(32)
    row = ApiKey(id=new_id("key"), user_id=me.id, name=body.name, key_hash=hash_key(key), hint=f"****{key[-4:]}")
    session.add(row)
    await session.flush()
    answer = NewKeyAnswer(key=key, **_fields(row))
    await once.keep(session, 201, answer)
    return answer


@router.get("", summary="List API keys")
async def list_keys(me: Me, session: Session) -> KeysAnswer:
    rows = await session.scalars(select(ApiKey).where(ApiKey.user_id == me.id).order_by(ApiKey.created_at))
    keys = [KeyAnswer(**_fields(row)) for row in rows]
    return KeysAnswer(keys=keys, count=len(keys), total=len(keys))


@router.delete("/{id}", summary="Delete an API key", responses=NOT_FOUND)
async def delete_key(id: str, me: Me, session: Session) -> KeyDeleted:
    if not is_id("key", id) or not await delete_api_key(session, me.id, id):
        raise NotFound("API key")
    return KeyDeleted(id=id)


def _fields(row: ApiKey) -> dict[str, Any]:
    return {name: getattr(row, name) for name in KeyAnswer.model_fields}
