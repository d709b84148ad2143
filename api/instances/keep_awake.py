"""Keeping an instance awake for a while, whatever it does."""

from datetime import timedelta

from fastapi import APIRouter, BackgroundTasks, Security
from pydantic import Field
from sqlalchemy import func

from api.deps import App, OwnInstance, Session
from api.dispatch import tell_changed
from api.errors import Conflict
from api.guard import Guarded
from api.instances.instances import show_instance
from api.instances.schemas import InstanceAnswer
from api.openapi import NOT_FOUND, UNAUTHORIZED, bearer, problem
from api.schemas import Body
from db.events import record_event

router = APIRouter(
    prefix="/instances",
    tags=["instances"],
    route_class=Guarded,
    dependencies=[Security(bearer)],
    responses=UNAUTHORIZED,
)


class KeepAwake(Body):
    minutes: float = Field(ge=0, le=525_600, description="From now on. 0: it may be paused again.", examples=[120])


@router.post(
    "/{id}/keep-awake",
    status_code=202,
    summary="Do not pause it for a while",
    responses={**NOT_FOUND, 409: problem("It is over.")},
)
async def keep_awake(
    found: OwnInstance, body: KeepAwake, app: App, session: Session, after: BackgroundTasks
) -> InstanceAnswer:
    """It does not pause by itself before that time. A later call replaces an earlier one. It wakes nothing."""
    if found.status.is_over:
        raise Conflict("wrong_state", f"The instance is {found.status.value}: there is nothing to keep awake.")
    found.keep_awake_until = func.clock_timestamp() + timedelta(minutes=body.minutes) if body.minutes else None
    text = f"Kept awake for {body.minutes:g} minutes." if body.minutes else "Not kept awake any longer."
    await record_event(session, found.user_id, f"instance:{found.id}", "keep_awake", text)
    await session.refresh(found, ["keep_awake_until"])
    after.add_task(tell_changed, app.workflows, found.id, [])
    return await show_instance(found, session)
