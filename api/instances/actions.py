"""What an owner asks of an instance: pause, resume, wake, hibernate, destroy, and what can be changed of it.

Each request is written to a row first and is accepted with every worker down. `domain/instances/actions.py` decides
which actions are allowed in which state.
"""

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Query, Response, Security
from sqlalchemy.ext.asyncio import AsyncSession

from api.app_state import AppState
from api.deps import App, OwnInstance, Session
from api.dispatch import tell_changed, tell_instance
from api.guard import Guarded
from api.instances.create import InstanceChanges
from api.instances.schemas import InstanceAnswer, instance_rows, shown_instance
from api.openapi import NOT_FOUND, UNAUTHORIZED, bearer, problem
from db.endpoints import deployments
from db.endpoints.endpoints import open_endpoints_of
from db.instances.desired_state import request_action
from db.instances.tables import Instance
from db.notify import notify_instance
from db.snapshots.snapshots import delete_all
from domain.instances.actions import InstanceAction
from domain.instances.phases import InstanceStatus
from domain.instances.wakes import WakeMethod

LOOK_AGAIN_SECONDS = 1.0
MAX_WAIT_SECONDS = 900.0
OWNER = "Its owner"

_WRONG_STATE: dict[int | str, dict[str, Any]] = {409: problem("`wrong_state`: the sentence says what it is.")}
_ACCEPTED: dict[str, Any] = {"status_code": 202, "responses": NOT_FOUND | _WRONG_STATE}

router = APIRouter(
    prefix="/instances",
    tags=["instances"],
    route_class=Guarded,
    dependencies=[Security(bearer)],
    responses=UNAUTHORIZED,
)


class WokenAnswer(InstanceAnswer):
    """`wake_seconds` and `method` are there once it runs."""

    wake_seconds: float | None = None
    method: WakeMethod | None = None


@router.post("/{id}/pause", summary="Stop the GPU, keep the disk", **_ACCEPTED)
async def pause_instance(found: OwnInstance, app: App, session: Session, response: Response) -> InstanceAnswer:
    """Its files are saved, its programs ended, its machine stopped. 200 when it is paused already."""
    return await _request(found, InstanceAction.PAUSE, app, session, response)


@router.post("/{id}/resume", summary="Start a paused machine again", **_ACCEPTED)
async def resume_instance(found: OwnInstance, app: App, session: Session, response: Response) -> InstanceAnswer:
    return await _request(found, InstanceAction.RESUME, app, session, response)


@router.post("/{id}/hibernate", summary="Give the machine back, keep the files", **_ACCEPTED)
async def hibernate_instance(found: OwnInstance, app: App, session: Session, response: Response) -> InstanceAnswer:
    """Only once a verified snapshot holds all its files; until then it is paused, and says so."""
    return await _request(found, InstanceAction.HIBERNATE, app, session, response)


@router.post("/{id}/wake", summary="Have it running, whatever it takes", **_ACCEPTED)
async def wake_instance(
    found: OwnInstance,
    app: App,
    session: Session,
    response: Response,
    wait: Annotated[bool, Query(description="False: answer at once.")] = True,
    wait_seconds: Annotated[float, Query(ge=0, le=MAX_WAIT_SECONDS)] = 300.0,
) -> WokenAnswer:
    """From paused or hibernated: its machine is started again, or another rented and its files restored there.

    200 when it runs, else 202 after `wait_seconds`. A caller that leaves cancels nothing, and many wait for one wake.
    """
    instance = await session.get_one(Instance, found.id, with_for_update=True, populate_existing=True)
    news = await request_action(session, instance, InstanceAction.WAKE, by=OWNER)
    await session.commit()  # do not hold a database connection while waiting
    if news:
        await tell_instance(app.workflows, found.id)
    answer = await _awaited(app, found.id, wait_seconds if wait else 0.0)
    response.status_code = 200 if answer.status is InstanceStatus.RUNNING else 202
    return answer


async def _awaited(app: AppState, instance_id: int, seconds: float) -> WokenAnswer:
    """Wait until the instance runs or sleeps again, for at most `seconds`; then return it."""
    deadline = time.monotonic() + seconds
    while True:
        heard = asyncio.create_task(app.news.wait(instance_id, min(LOOK_AGAIN_SECONDS, max(0.0, seconds))))
        answer = await _woken(app, instance_id)
        left = deadline - time.monotonic()
        if left <= 0 or answer.status not in (
            InstanceStatus.RESUMING,
            InstanceStatus.PROVISIONING,
            InstanceStatus.STARTING,
        ):
            heard.cancel()
            return answer
        await heard


async def _woken(app: AppState, instance_id: int) -> WokenAnswer:
    async with app.database.begin() as session:
        row = (await session.execute(instance_rows(Instance.id == instance_id))).one()
    shown = shown_instance(row[0], row[1], row[2])
    report = shown.last_wake if shown.status is InstanceStatus.RUNNING else None
    seconds, method = (None, None) if report is None else (report.seconds, report.method)
    return WokenAnswer(**shown.model_dump(), wake_seconds=seconds, method=method)


@router.patch("/{id}", summary="Change what can be changed", responses=NOT_FOUND)
async def change_instance(
    found: OwnInstance, body: InstanceChanges, app: App, session: Session, after: BackgroundTasks
) -> InstanceAnswer:
    """Fields left out stay as they are. `null` for an idle window: the account's setting applies again."""
    instance = await session.get_one(Instance, found.id, with_for_update=True, populate_existing=True)
    for name in body.model_fields_set:
        value = getattr(body, name)
        if value is not None or name not in ("persist", "ssh_wake"):
            setattr(instance, name, value)
    await notify_instance(session, found.id)
    after.add_task(tell_changed, app.workflows, found.id, [])  # its windows may have changed
    return await _shown(session, found.id)


@router.delete("/{id}", status_code=202, summary="Destroy an instance", responses=NOT_FOUND)
async def destroy_instance(
    found: OwnInstance,
    app: App,
    session: Session,
    response: Response,
    after: BackgroundTasks,
    delete_snapshots: Annotated[bool, Query(description="Also every snapshot of it; they are kept otherwise.")] = False,
) -> InstanceAnswer:
    """Accepted at once; its machine is released and confirmed gone by its workflow. Models on it stop."""
    if delete_snapshots:
        await delete_all(session, found.id)
    if found.status.is_over:
        response.status_code = 200
        return await _shown(session, found.id)
    instance = await session.get_one(Instance, found.id, with_for_update=True, populate_existing=True)
    await request_action(session, instance, InstanceAction.DESTROY, by=OWNER)
    endpoints = await open_endpoints_of(session, found.id)
    for endpoint_id in endpoints:
        await deployments.stop(session, endpoint_id, "Its instance was destroyed by its owner.")
    after.add_task(tell_changed, app.workflows, found.id, endpoints)
    return await _shown(session, found.id)


async def _request(
    found: Instance, action: InstanceAction, app: AppState, session: AsyncSession, response: Response
) -> InstanceAnswer:
    """Write the desired state, commit, and only then signal the instance's workflow."""
    instance = await session.get_one(Instance, found.id, with_for_update=True, populate_existing=True)
    news = await request_action(session, instance, action, by=OWNER)
    answer = await _shown(session, found.id)
    await session.commit()
    if news:
        await tell_instance(app.workflows, found.id)
    response.status_code = 200 if _is_reached(action, answer.status) else 202
    return answer


_REACHED = {
    InstanceAction.PAUSE: InstanceStatus.PAUSED,
    InstanceAction.RESUME: InstanceStatus.RUNNING,
    InstanceAction.HIBERNATE: InstanceStatus.HIBERNATED,
}


def _is_reached(action: InstanceAction, status: InstanceStatus) -> bool:
    return _REACHED[action] is status


async def _shown(session: AsyncSession, instance_id: int) -> InstanceAnswer:
    await session.flush()
    row = (
        await session.execute(instance_rows(Instance.id == instance_id), execution_options={"populate_existing": True})
    ).one()
    return shown_instance(row[0], row[1], row[2])
