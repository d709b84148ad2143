"""`POST /snapshots/{id}/restore`: files back into the instance that is named, or on a new one."""

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Security
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from api.admission import find_offers
from api.app_state import AppState
from api.deps import App, Me, Session
from api.dispatch import start_instance_flows, tell_instance
from api.errors import Conflict
from api.idempotency import Once, OnlyOnce, Starting
from api.instances.create import place_instance
from api.openapi import NOT_FOUND, UNAUTHORIZED, bearer
from api.provider import working_key
from api.schemas import BigId, Body, Short
from api.snapshots.schemas import RestoreAnswer
from api.snapshots.snapshots import WRONG_STATE, OwnSnapshot, my_instance
from db.accounts.tables import ProviderKey
from db.events import record_event
from db.instances.desired_state import request_action
from db.instances.instances import NewInstance
from db.instances.tables import Instance
from db.notify import notify_instance
from db.snapshots import snapshots
from db.snapshots.tables import Snapshot
from domain.instances.actions import InstanceAction
from domain.instances.instances import InstanceSpec
from domain.market.offers import Offer, usd
from domain.snapshots.phases import SnapshotStatus
from domain.workflow_contracts import instance_workflow_id

router = APIRouter(
    prefix="/snapshots",
    tags=["instances"],
    route_class=Starting,
    dependencies=[Security(bearer)],
    responses=UNAUTHORIZED,
)


class RestoreBody(Body):
    gpu_type: Short | None = Field(default=None, description="Of the new instance; absent: as the snapshot's own.")
    max_price: Annotated[float, Field(gt=0, le=10_000)] | None = None
    instance_id: BigId | None = Field(default=None, description="Into this one, which is snapshotted first.")


class RestoreTarget(NamedTuple):
    """Where the new instance may live."""

    key: ProviderKey
    account_id: int
    spec: InstanceSpec
    offers: list[Offer]


@router.post("/{id}/restore", status_code=202, summary="Bring a snapshot back", responses={**NOT_FOUND, **WRONG_STATE})
async def restore_snapshot(
    found: OwnSnapshot, me: Me, app: App, session: Session, once: OnlyOnce, body: RestoreBody | None = None
) -> RestoreAnswer:
    """Into the instance that is named, which is snapshotted first; or on a new one like the snapshot's own."""
    wanted = body or RestoreBody()
    _see_it_is_ready(found)
    if wanted.instance_id is None:
        source = await session.get_one(Instance, found.instance_id)
        await session.commit()  # do not hold a database connection while the market is searched
        return await _restore_anew(app, me.id, source, found, wanted, once)
    await once.claim(session)
    instance = await my_instance(session, me, wanted.instance_id)
    await _see_it_is_there(session, found)
    await _restore_in_place(session, instance, found)
    answer = _restoring(instance, found)
    await once.keep(session, 202, answer)
    await session.commit()
    await tell_instance(app.workflows, instance.id)
    return answer


async def _restore_in_place(session: AsyncSession, instance: Instance, snapshot: Snapshot) -> None:
    """Write the request to the row. The instance's workflow takes a snapshot of what is there, then restores.

    Raises:
        WrongState: the instance can have no files brought back as it is. NotForSleeping: it never can.
    """
    await request_action(session, instance, InstanceAction.WAKE, by="Its owner")
    instance.restore_snapshot_id = snapshot.id
    text = f"Its owner wants the files of snapshot {snapshot.id} back."
    await record_event(session, instance.user_id, f"instance:{instance.id}", "restore", text)
    await notify_instance(session, instance.id)


async def _restore_anew(
    app: AppState, user_id: int, source: Instance, snapshot: Snapshot, body: RestoreBody, once: Once
) -> RestoreAnswer:
    """A new instance like the one that the snapshot is of, with its own SSH host key and address."""
    target = await _target(app, user_id, source, body)
    async with app.database.begin() as session:
        await once.claim(session)
        await _see_it_is_there(session, snapshot)
        instance, lease = await place_instance(
            session, app, _like(source, target, snapshot), target.account_id, target.offers
        )
        answer = _restoring(instance, snapshot)
        await once.keep(session, 202, answer)
    await start_instance_flows(app.workflows, instance, lease)
    return answer


async def _see_it_is_there(session: AsyncSession, snapshot: Snapshot) -> None:
    """It may have been deleted, or forgotten, while the market was searched or its instance's row was waited for.

    From here its row is held; the instance's, where one is written to, was taken before.

    Raises:
        Conflict
    """
    fresh = await snapshots.held(session, snapshot.id)
    if fresh is None:
        raise Conflict("wrong_state", "The snapshot was deleted meanwhile; GET /snapshots shows those that there are.")
    _see_it_is_ready(fresh)


def _see_it_is_ready(snapshot: Snapshot) -> None:
    if snapshot.status is not SnapshotStatus.READY:
        why = snapshot.message or "it is not ready"
        raise Conflict("wrong_state", f"The snapshot is {snapshot.status.value}: {why}.")


async def _target(app: AppState, user_id: int, source: Instance, body: RestoreBody) -> RestoreTarget:
    spec = InstanceSpec.model_validate(source.spec)
    query = spec.query.model_copy(update={"offer_id": None, "num_gpus": spec.query.num_gpus or 1})
    query.gpu_name = body.gpu_type or query.gpu_name
    query.max_price = usd(body.max_price) if body.max_price else query.max_price
    spec = spec.model_copy(update={"query": query})
    key, account_id = await working_key(app, user_id)
    return RestoreTarget(key, account_id, spec, await find_offers(app, key, spec.query, None))


def _like(source: Instance, target: RestoreTarget, snapshot: Snapshot) -> NewInstance:
    return NewInstance(
        user_id=source.user_id,
        provider_key_id=target.key.id,
        spec=target.spec,
        label=f"{source.label} restored"[:200] if source.label else None,
        persist=list(source.persist),
        ssh_public_keys=list(source.ssh_public_keys),
        ssh_wake=source.ssh_wake,
        idle_pause_minutes=source.idle_pause_minutes,
        idle_hibernate_minutes=source.idle_hibernate_minutes,
        warnings=[],
        restore_snapshot_id=snapshot.id,
    )


def _restoring(instance: Instance, snapshot: Snapshot) -> RestoreAnswer:
    return RestoreAnswer(
        id=instance.id,
        instance_id=instance.id,
        snapshot_id=snapshot.id,
        status=instance.status,
        ssh_host=instance.ssh_host,
        ssh_port=instance.ssh_port,
        workflow_id=instance_workflow_id(instance.id),
    )
