"""A user's SSH keys: good for every instance of theirs at once."""

from typing import Any

from fastapi import APIRouter, Response, Security
from pydantic import AliasChoices, Field

from api.deps import Me, Session
from api.errors import Conflict, Invalid, NotFound
from api.guard import Guarded
from api.openapi import NOT_FOUND, UNAUTHORIZED, bearer
from api.schemas import Answer, Body, Name, Time
from clients.ssh_keys import NotAPublicKey, PublicKey, read_public_key
from db.accounts.ssh_keys import add_key, count_keys, delete_key, keys_of_user
from db.accounts.tables import SshKey
from domain.ids import is_id

KEYS_PER_USER = 100
MAX_NAME = 100

router = APIRouter(
    prefix="/ssh-keys",
    tags=["instances"],
    route_class=Guarded,
    dependencies=[Security(bearer)],
    responses=UNAUTHORIZED,
)


class NewSshKey(Body):
    """`name`: the key's comment when it is left out."""

    name: Name | None = Field(default=None, examples=["laptop"])
    public_key: str = Field(
        validation_alias=AliasChoices("public_key", "ssh_key", "key"),
        max_length=20_000,
        examples=["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI… me@laptop"],
    )


class SshKeyAnswer(Answer):
    """`fingerprint` as `ssh-keygen -l` shows it."""

    id: str
    name: str
    public_key: str
    fingerprint: str
    created_at: Time


class SshKeysAnswer(Answer):
    ssh_keys: list[SshKeyAnswer]
    count: int
    total: int
    next_cursor: str | None = None


class SshKeyDeleted(Answer):
    success: bool = True
    id: str


@router.post("", status_code=201, summary="Add an SSH key")
async def add_ssh_key(body: NewSshKey, me: Me, session: Session, response: Response) -> SshKeyAnswer:
    """A key that is there already is answered with 200, as it is."""
    key = _read(body.public_key)
    name = body.name or key.comment[:MAX_NAME] or "key"
    row, is_new = await add_key(session, me.id, name, key.line, key.fingerprint)
    if is_new and await count_keys(session, me.id) > KEYS_PER_USER:
        raise Conflict("too_many_keys", f"{KEYS_PER_USER} SSH keys are the most. Delete one first.")
    response.status_code = 201 if is_new else 200
    return _answer(row)


@router.get("", summary="List SSH keys")
async def list_ssh_keys(me: Me, session: Session) -> SshKeysAnswer:
    keys = [_answer(row) for row in await keys_of_user(session, me.id)]
    return SshKeysAnswer(ssh_keys=keys, count=len(keys), total=len(keys))


@router.delete("/{id}", summary="Delete an SSH key", responses=NOT_FOUND)
async def delete_ssh_key(id: str, me: Me, session: Session) -> SshKeyDeleted:
    """Nobody logs in with it any more, and connections that did are closed. Keys given with an instance stay."""
    if not is_id("key", id) or not await delete_key(session, me.id, id):
        raise NotFound("SSH key")
    return SshKeyDeleted(id=id)


def _read(text: str) -> PublicKey:
    try:
        return read_public_key(text)
    except NotAPublicKey as refusal:
        raise Invalid(refusal.code, "public_key", str(refusal)) from refusal


def _answer(row: SshKey) -> SshKeyAnswer:
    fields: dict[str, Any] = {name: getattr(row, name) for name in SshKeyAnswer.model_fields}
    return SshKeyAnswer(**fields)
