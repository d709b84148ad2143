"""The dependencies of handlers."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Path, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.app_state import AppState
from api.errors import NotFound
from api.guard import Caller
from db.endpoints.tables import Deployment
from db.instances.tables import Instance
from db.jobs.tables import Job
from domain.ids import is_id

_MAX_INSTANCE_ID = 2**31 - 1


async def _app_state(request: Request) -> AppState:
    app_state: AppState = request.app.state.app_state
    return app_state


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


App = Annotated[AppState, Depends(_app_state)]
Me = Annotated[Caller, Depends(_caller)]


async def _session(app: App) -> AsyncIterator[AsyncSession]:
    async with app.database.begin() as session:
        yield session


Session = Annotated[AsyncSession, Depends(_session, scope="function")]
"""One transaction for the handler, committed before the answer is sent."""


def instance_number(text: str) -> int | None:
    """The integer that an instance's id must be; any other text names nothing."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        return None
    return int(text) if int(text) <= _MAX_INSTANCE_ID else None


async def _own_instance(
    id: Annotated[str, Path(description="The instance's integer id.", examples=["12"])], me: Me, session: Session
) -> Instance:
    number = instance_number(id)
    found = None if number is None else await session.get(Instance, number)
    if found is None or found.user_id != me.id:
        raise NotFound("instance")
    return found


OwnInstance = Annotated[Instance, Depends(_own_instance)]


async def _own_deployment(
    id: Annotated[str, Path(description="The deployment's id, or its instance's.", examples=["dep_k3v9q0a1b2c3d4e5"])],
    me: Me,
    session: Session,
) -> Deployment:
    number = instance_number(id)
    if number is None and not is_id("dep", id):
        raise NotFound("deployment")
    named = Deployment.id == id if number is None else Deployment.instance_id == number
    found = await session.scalar(
        select(Deployment).where(named, Deployment.user_id == me.id).order_by(Deployment.created_at.desc()).limit(1)
    )
    if found is None:
        raise NotFound("deployment")
    return found


OwnDeployment = Annotated[Deployment, Depends(_own_deployment)]


async def _own_job(
    id: Annotated[str, Path(description="The job's id.", examples=["job_k3v9q0a1b2c3d4e5"])], me: Me, session: Session
) -> Job:
    found = await session.get(Job, id) if is_id("job", id) else None
    if found is None or found.user_id != me.id:
        raise NotFound("job")
    return found


OwnJob = Annotated[Job, Depends(_own_job)]
