"""Reports of machines' agents, authenticated by their lease's token; and what owners see of them."""

import logging
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, Request, Response, Security
from fastapi.routing import APIRoute
from sqlalchemy import select
from starlette.exceptions import HTTPException

from api.app_state import TEMPORAL_DOWN, AppState
from api.deps import App, Me, Session
from api.errors import Unauthorized
from api.guard import Guarded, bearer_of
from api.instances.schemas import status_of
from api.openapi import UNAUTHORIZED, bearer, problem
from api.schemas import Answer, Body, Time
from db.instances.tables import Instance
from db.machines.agent_reports import record_report
from db.machines.lease_tokens import AGENT, lease_of, living_lease
from db.machines.leases import holder_of
from db.machines.tables import AgentReport, Lease
from domain.instances.idleness import WARNED_BEFORE, still_idle, warning
from domain.instances.phases import InstanceStatus
from domain.machines.agents import AgentStatus
from domain.machines.machines import MachineSeen
from workflow_client.client import WorkflowClient

MAX_REPORT_BYTES = 64 * 1024

log = logging.getLogger(__name__)


class ByLeaseToken(APIRoute):
    """A route for machines, authenticated by their lease's token before the body is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            request.state.lease = await _lease(request)
            if len(await request.body()) > MAX_REPORT_BYTES:
                raise HTTPException(413, f"A report may have {MAX_REPORT_BYTES} bytes.")
            return await handle(request)

        return guarded


async def _lease(request: Request) -> Lease:
    app_state: AppState = request.app.state.app_state
    lease_id = lease_of(app_state.sealer, bearer_of(request), AGENT)
    if lease_id is None:
        raise Unauthorized("This is no machine's token.")
    async with app_state.database.begin() as session:
        lease = await living_lease(session, lease_id)
    if lease is None:
        raise Unauthorized("The machine of this token is given back.")
    return lease


def _calling_lease(request: Request) -> Lease:
    lease: Lease = request.state.lease
    return lease


CallingLease = Annotated[Lease, Depends(_calling_lease)]


class Report(Body, AgentStatus):
    """A report. Its claims about identity and time are ignored: the token names the lease, and times are ours."""


class Action(StrEnum):
    """`shutdown` is part of the protocol but never sent: we stop machines through their cloud."""

    NONE = "none"
    PREPARE_HIBERNATE = "prepare_hibernate"
    SHUTDOWN = "shutdown"


class ReportAnswer(Answer):
    received: bool = True
    instance_id: int
    action: Action = Action.NONE
    message: str = ""


class AgentAnswer(Answer):
    """`last_seen` null: its agent has not reported yet."""

    instance_id: int
    status: InstanceStatus
    gpu_utilization: float | None
    last_seen: Time | None
    idle_since: Time | None
    will_hibernate_at: Time | None


machines_router = APIRouter(route_class=ByLeaseToken, dependencies=[Security(bearer)], responses=UNAUTHORIZED)
owners_router = APIRouter(route_class=Guarded, dependencies=[Security(bearer)], responses=UNAUTHORIZED)


@machines_router.post("/status", summary="A machine's agent reports", responses={413: problem("Too long a report.")})
async def report(body: Report, lease: CallingLease, app: App, after: BackgroundTasks) -> ReportAnswer:
    """With the lease's token. The first report of a boot that is waited for tells the machine's workflow at once."""
    async with app.database.begin() as session:
        recorded = await record_report(session, lease, body)
        instance = await session.get_one(Instance, holder_of(lease).instance_id)
    if recorded.seen is not None:
        after.add_task(_tell_up, app.workflows, lease.id, recorded.seen)
    return _answer(instance, recorded.at, in_use=recorded.in_use)


def _answer(instance: Instance, at: datetime, *, in_use: bool) -> ReportAnswer:
    """A warning for the terminals, when a pause is near and this report does not postpone it."""
    due = instance.will_pause_at
    near = due is not None and timedelta() < due - at <= WARNED_BEFORE and instance.status is InstanceStatus.RUNNING
    if due is None or not near or in_use:
        return ReportAnswer(instance_id=instance.id)
    return ReportAnswer(instance_id=instance.id, action=Action.PREPARE_HIBERNATE, message=warning(due))


async def _tell_up(workflows: WorkflowClient, lease_id: str, seen: MachineSeen) -> None:
    """Signal the machine's workflow. If that fails, the account's watch does it later."""
    try:
        await workflows.seen(lease_id, seen)
    except TEMPORAL_DOWN as error:
        log.warning("lease %s is left to the watch: %s", lease_id, type(error).__name__)


_OVER = [InstanceStatus.DESTROYED, InstanceStatus.FAILED]


@owners_router.get("/instances", summary="What the agents of my instances say")
async def agents(me: Me, session: Session) -> list[AgentAnswer]:
    """Instances that are not over, newest first. A bare list."""
    found = await session.execute(
        select(Instance, AgentReport)
        .outerjoin(AgentReport, AgentReport.lease_id == Instance.lease_id)
        .where(Instance.user_id == me.id, Instance.status.not_in(_OVER))
        .order_by(Instance.id.desc())
    )
    return [_shown(instance, said) for instance, said in found]


def _shown(instance: Instance, said: AgentReport | None) -> AgentAnswer:
    idle = still_idle(instance.idle_since, instance.traffic_at, said.active_at if said else None)
    return AgentAnswer(
        instance_id=instance.id,
        status=status_of(instance),
        gpu_utilization=said.gpu_util if said else None,
        last_seen=said.at if said else None,
        idle_since=instance.idle_since if idle else None,
        will_hibernate_at=instance.will_hibernate_at,
    )


router = APIRouter(prefix="/agent", tags=["instances"])
router.include_router(machines_router)
router.include_router(owners_router)
