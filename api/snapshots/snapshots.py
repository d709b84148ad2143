"""Snapshots of instances' files: take, list, look, delete."""

from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, Path, Query, Security
from pydantic import AfterValidator, Field, StringConstraints
from sqlalchemy import func, select, tuple_

from api.deps import App, Me, Session, instance_number
from api.dispatch import start_snapshot, tell_deleted
from api.errors import Conflict, Invalid, NotFound
from api.idempotency import OnlyOnce, Starting
from api.instances.schemas import status_of
from api.openapi import NOT_FOUND, UNAUTHORIZED, bearer, problem
from api.pagination import DEFAULT_LIMIT, MAX_LIMIT
from api.schemas import BigId, Body, Short, storable
from api.snapshots.schemas import SnapshotAnswer, SnapshotsAnswer, shown_snapshot
from db.instances.tables import Instance
from db.snapshots import snapshots
from db.snapshots.tables import Snapshot
from domain.ids import is_id, new_id
from domain.instances.actions import NotForSleeping
from domain.instances.phases import InstanceStatus
from domain.lifecycles import LIFECYCLES
from domain.snapshots.snapshots import NothingRuns

router = APIRouter(
    prefix="/snapshots",
    tags=["instances"],
    route_class=Starting,
    dependencies=[Security(bearer)],
    responses=UNAUTHORIZED,
)

WRONG_STATE: dict[int | str, dict[str, Any]] = {409: problem("Not as things are; the sentence says how they are.")}


def _absolute(path: str) -> str:
    if ".." in path.split("/") or path == "/":
        raise ValueError("must be a folder or file of the user's, without ..")
    return path.rstrip("/")


SavedPath = Annotated[
    str, StringConstraints(max_length=1000, pattern=r"^/"), AfterValidator(storable), AfterValidator(_absolute)
]


class SnapshotBody(Body):
    instance_id: BigId
    paths: list[SavedPath] | None = Field(
        default=None, min_length=1, max_length=50, description="What the instance persists, when absent."
    )
    label: Short | None = Field(default=None, description="A labelled snapshot is never forgotten by itself.")


async def _own_snapshot(
    id: Annotated[str, Path(description="The snapshot's id.", examples=["snap_k3v9q0a1b2c3d4e5"])],
    me: Me,
    session: Session,
) -> Snapshot:
    found = await session.get(Snapshot, id) if is_id("snap", id) else None
    if found is None or found.user_id != me.id or found.deleted_at is not None:
        raise NotFound("snapshot")
    return found


OwnSnapshot = Annotated[Snapshot, Depends(_own_snapshot)]


async def my_instance(session: Session, me: Me, number: int) -> Instance:
    found = await session.get(Instance, number, with_for_update=True) if number < 2**31 else None
    if found is None or found.user_id != me.id:
        raise NotFound("instance")
    return found


@router.get("", summary="My snapshots, newest first")
async def list_snapshots(
    me: Me,
    session: Session,
    instance_id: Annotated[str | None, Query(description="Only this instance's.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows a page.")] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
) -> SnapshotsAnswer:
    wanted = [Snapshot.user_id == me.id, Snapshot.deleted_at.is_(None)]
    if instance_id is not None:
        number = instance_number(instance_id)
        wanted.append(Snapshot.instance_id == (-1 if number is None else number))
    total = await session.scalar(select(func.count()).select_from(Snapshot).where(*wanted))
    if cursor:
        last = await session.get(Snapshot, cursor) if is_id("snap", cursor) else None
        if last is None or last.user_id != me.id:
            raise Invalid(
                "bad_cursor", "cursor", "Not a cursor of ours: use the page before's next_cursor.", place="query"
            )
        wanted.append(tuple_(Snapshot.created_at, Snapshot.id) < tuple_(last.created_at, last.id))
    newest = select(Snapshot).where(*wanted).order_by(Snapshot.created_at.desc(), Snapshot.id.desc()).limit(limit + 1)
    rows = (await session.scalars(newest)).all()
    shown = [shown_snapshot(row) for row in rows[:limit]]
    more = shown[-1].id if len(rows) > limit else None
    return SnapshotsAnswer(snapshots=shown, count=len(shown), total=total or 0, next_cursor=more)


@router.post(
    "", status_code=202, summary="Take a snapshot of a running instance", responses={**NOT_FOUND, **WRONG_STATE}
)
async def take_snapshot(
    body: SnapshotBody, me: Me, app: App, session: Session, once: OnlyOnce, after: BackgroundTasks
) -> SnapshotAnswer:
    """Answers at once; `GET /snapshots/{id}` shows how far it is."""
    await once.claim(session)
    instance = await my_instance(session, me, body.instance_id)
    if not LIFECYCLES[instance.kind].has_own_snapshots:
        raise NotForSleeping(instance.kind)
    if status_of(instance) is not InstanceStatus.RUNNING:
        last = await snapshots.newest(session, instance)
        raise NothingRuns(status_of(instance), None if last is None else last.id)
    row = await snapshots.begin(session, new_id("snap"), instance, label=body.label, paths=body.paths or ())
    await session.refresh(row)
    answer = shown_snapshot(row)
    await once.keep(session, 202, answer)
    after.add_task(start_snapshot, app.workflows, row.id, instance.id)
    return answer


@router.get("/{id}", summary="One snapshot", responses=NOT_FOUND)
async def show_snapshot(found: OwnSnapshot) -> SnapshotAnswer:
    return shown_snapshot(found)


@router.delete("/{id}", summary="Delete a snapshot, or cancel one", responses={**NOT_FOUND, **WRONG_STATE})
async def delete_snapshot(
    found: OwnSnapshot,
    app: App,
    session: Session,
    after: BackgroundTasks,
    force: Annotated[bool, Query(description="Even the only copy of an instance's newest files.")] = False,
) -> SnapshotAnswer:
    """It is off the list at once; its data is deleted a little later."""
    instance = await session.get_one(Instance, found.instance_id, with_for_update=True)
    row = await snapshots.held(session, found.id)
    if row is None:
        raise NotFound("snapshot")
    if row.id in await snapshots.being_restored(session, instance.id):
        raise Conflict("wrong_state", "An instance is being restored from this snapshot; delete it when that is done.")
    await snapshots.delete(session, row, instance, force=force)
    await session.flush()
    await session.refresh(row)
    after.add_task(tell_deleted, app.workflows, row.id, instance.id)
    return shown_snapshot(row)
