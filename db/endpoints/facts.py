"""Everything that the next step of an endpoint depends on, read in one transaction."""

from sqlalchemy.ext.asyncio import AsyncSession

from db.endpoints import endpoints
from db.endpoints.tables import Endpoint
from db.instances.tables import Instance
from db.machines.tables import Lease
from db.session import now
from domain.endpoints.phases import EndpointState
from domain.endpoints.steps import EndpointFacts, restart_pause
from domain.instances.phases import Desired, InstanceStatus
from domain.machines.phases import LeaseState


async def endpoint_facts(
    session: AsyncSession, endpoint_id: str, *, failures_allowed: int, first_pause: float
) -> EndpointFacts:
    endpoint, deployment, instance = await endpoints.read(session, endpoint_id)
    machine = await running_machine(session, instance)
    return EndpointFacts(
        state=endpoint.state,
        wanted=deployment.wanted,
        was_ready=deployment.ready_at is not None,
        instance_id=instance.id,
        instance_status=instance.status,
        instance_wanted=instance.desired is not Desired.DESTROYED,
        instance_message=instance.message,
        machine=None if machine is None else machine.id,
        server_on=endpoint.lease_id,
        failures=endpoint.failures,
        failures_allowed=failures_allowed,
        restart_in=await _restart_in(session, endpoint, first_pause),
        trouble=endpoint.trouble_text,
        status=deployment.status,
        stage=deployment.stage,
        message=deployment.message,
        phase_timings_ms=deployment.phase_timings_ms,
        summary=f"{endpoint.model_id} on instance {instance.id}",
    )


async def running_machine(session: AsyncSession, instance: Instance) -> Lease | None:
    """The lease of the machine that the instance runs on now."""
    if instance.status is not InstanceStatus.RUNNING or instance.lease_id is None:
        return None
    lease = await session.get_one(Lease, instance.lease_id)
    return lease if lease.state is LeaseState.RUNNING and lease.wanted else None


async def _restart_in(session: AsyncSession, endpoint: Endpoint, first_pause: float) -> float:
    if endpoint.state is not EndpointState.DOWN:
        return 0.0
    waited = (await now(session) - endpoint.state_at).total_seconds()
    return max(0.0, restart_pause(endpoint.failures, first_pause) - waited)
