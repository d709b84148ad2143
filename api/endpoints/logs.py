"""`GET /models/{id}/logs`: the model server's own log, read from its machine."""

from typing import Annotated

from fastapi import APIRouter, Query, Security
from sqlalchemy.ext.asyncio import AsyncSession

from activities.endpoints.serve_script import LOG_FILE
from activities.machines.machines import LEASE_KEY_PURPOSE
from api.deps import App, OwnDeployment, Session
from api.errors import Conflict, Down
from api.guard import Guarded
from api.openapi import NOT_FOUND, UNAUTHORIZED, bearer, problem
from api.schemas import Answer
from clients.ssh import SshError, SshTarget, connect, run
from db.endpoints.endpoints import UPSTREAM_KEY_PURPOSE
from db.endpoints.tables import Deployment, Endpoint
from db.instances.tables import Instance
from db.machines.tables import Lease
from db.sealing import Sealer
from domain.machines.machines import MachineSeen, ssh_address
from domain.machines.phases import LeaseState

SSH_SECONDS = 10.0

router = APIRouter(
    prefix="/models",
    tags=["models"],
    route_class=Guarded,
    dependencies=[Security(bearer)],
    responses=UNAUTHORIZED,
)


class LogsAnswer(Answer):
    """`logs`: the last lines, oldest first; empty before the server has written any."""

    id: str
    deployment_id: str
    logs: str


@router.get(
    "/{id}/logs",
    summary="The model server's log",
    responses={**NOT_FOUND, 409: problem("No machine is up for it; its log is on the machine and goes with it.")},
)
async def model_logs(
    found: OwnDeployment,
    app: App,
    session: Session,
    lines: Annotated[int, Query(ge=1, le=5000, description="How many of the last lines.")] = 200,
) -> LogsAnswer:
    target = await _target(session, app.sealer, found)
    endpoint = await session.get_one(Endpoint, found.endpoint_id)
    await session.commit()  # the machine may take its time, and needs no connection of ours to wait
    text = await _tail(target, lines)
    key = app.sealer.open(endpoint.sealed_upstream_key, UPSTREAM_KEY_PURPOSE)
    return LogsAnswer(id=found.id, deployment_id=found.id, logs=text.replace(key, "****"))


async def _target(session: AsyncSession, sealer: Sealer, deployment: Deployment) -> SshTarget:
    """The machine that serves the deployment, by the host key it showed first."""
    instance = await session.get_one(Instance, deployment.instance_id)
    lease = None if instance.lease_id is None else await session.get_one(Lease, instance.lease_id)
    address = None if lease is None else ssh_address(MachineSeen.model_validate(lease.seen), lease.ssh_way)
    if lease is None or address is None or lease.state is not LeaseState.RUNNING or lease.host_key is None:
        raise Conflict("wrong_state", f"The deployment is {deployment.status} and has no machine that is up now.")
    private_key = sealer.open(lease.sealed_private_key, LEASE_KEY_PURPOSE)
    return SshTarget(*address, private_key=private_key, host_key=lease.host_key)


async def _tail(target: SshTarget, lines: int) -> str:
    command = f"tail -n {lines} {LOG_FILE} 2>/dev/null || true"
    try:
        async with await connect(target, timeout=SSH_SECONDS) as connection:
            done = await run(connection, command, timeout=SSH_SECONDS)
    except SshError as error:
        raise Down("machine_unreachable", f"Its machine does not answer ({type(error).__name__}).") from error
    return done.stdout
