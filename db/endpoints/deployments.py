"""Orders to serve a model: made with an instance and an endpoint, ended by their owner or by what came of them."""

import secrets

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from db.endpoints import endpoints
from db.endpoints.tables import Deployment, Endpoint
from db.instances.desired_state import set_desired
from db.instances.tables import Instance
from db.sealing import Sealer, hash_key
from domain.endpoints.phases import AccessType, DeploymentStage, DeploymentStatus, EndpointState
from domain.endpoints.plans import ServePlan
from domain.ids import new_id
from domain.instances.instances import InstanceSpec
from domain.instances.phases import Desired, InstanceKind

ENV_PURPOSE = "deployment-env"


async def create_deployment(
    session: AsyncSession,
    sealer: Sealer,
    *,
    user_id: int,
    provider_key_id: int,
    spec: InstanceSpec,
    plan: ServePlan,
    access_type: AccessType,
    label: str | None = None,
) -> tuple[Instance, Deployment, Endpoint, str | None]:
    """Write the three rows. The last of the answer is a private endpoint's key, to be shown once."""
    instance = Instance(
        user_id=user_id,
        provider_key_id=provider_key_id,
        kind=InstanceKind.MODEL,
        label=label or plan.model_id,
        spec=spec.model_dump(mode="json"),
    )
    key = endpoints.new_key() if access_type is AccessType.PRIVATE else None
    endpoint = Endpoint(
        id=new_id("ep"),
        user_id=user_id,
        path=endpoints.new_path(),
        access_type=access_type,
        key_hash=hash_key(key) if key else None,
        model_type=plan.model_type.value,
        model_id=plan.model_id,
        port=plan.port,
        sealed_upstream_key=sealer.seal(secrets.token_urlsafe(32), endpoints.UPSTREAM_KEY_PURPOSE),
    )
    session.add_all([instance, endpoint])
    await session.flush()
    deployment = Deployment(
        id=new_id("dep"),
        user_id=user_id,
        instance_id=instance.id,
        endpoint_id=endpoint.id,
        model_type=plan.model_type.value,
        model_id=plan.model_id,
        plan=plan.model_dump(mode="json", exclude={"env"}),
        sealed_env=sealer.seal_env(plan.env, ENV_PURPOSE),
        label=label,
    )
    session.add(deployment)
    await session.flush()
    return instance, deployment, endpoint, key


def plan_of(deployment: Deployment, sealer: Sealer) -> ServePlan:
    """The plan with its environment opened: users put tokens there."""
    plan = ServePlan.model_validate(deployment.plan)
    return plan.model_copy(update={"env": sealer.open_env(deployment.sealed_env, ENV_PURPOSE)})


async def stop(session: AsyncSession, endpoint_id: str, message: str) -> None:
    """Its owner wants the endpoint no longer: order, address and instance are over in the rows, at once.

    The endpoint's workflow is to be told after the commit; it sees its machine released.
    """
    served = await endpoints.read(session, endpoint_id)
    instance = await session.get_one(Instance, served.instance.id, with_for_update=True, populate_existing=True)
    endpoint, deployment, _ = await endpoints.read(session, endpoint_id, lock=True)
    if deployment.status.is_over:
        return
    deployment.status, deployment.message, deployment.wanted = DeploymentStatus.STOPPED, message, False
    deployment.ended_at = func.clock_timestamp()
    if endpoint.state.is_open:
        await endpoints.become(session, endpoint, EndpointState.CLOSING, None)
    await set_desired(session, instance, Desired.DESTROYED, by="its owner", why=message)


async def mark_ready(session: AsyncSession, deployment: Deployment) -> None:
    """Its model answers. What it took is known once: a server that is started again is no new order."""
    deployment.status, deployment.stage = DeploymentStatus.READY, DeploymentStage.READY
    deployment.message = "The model answers."
    deployment.ready_at = deployment.ready_at or func.clock_timestamp()
    await session.flush()


async def mark_ended(session: AsyncSession, deployment: Deployment) -> None:
    """Its machine is given back, or will be for sure. The first ending stands."""
    if deployment.status.is_over:
        return
    deployment.status = DeploymentStatus.FAILED if deployment.wanted else DeploymentStatus.STOPPED
    deployment.wanted = False
    deployment.ended_at = func.clock_timestamp()
    await session.flush()
