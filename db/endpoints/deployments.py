"""Making and ending deployments: an instance, a deployment and its endpoint are born and end together."""

import hashlib
import json
import secrets

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.endpoints.tables import Deployment, Endpoint
from db.instances.tables import Instance
from db.sealing import Sealer
from domain.endpoints.phases import AccessType, DeploymentStage, DeploymentStatus, EndpointState
from domain.endpoints.plans import ServePlan
from domain.ids import new_id
from domain.instances.instances import InstanceSpec
from domain.instances.phases import Desired, InstancePurpose

ENDPOINT_KEY_PURPOSE = "endpoint-upstream-key"
ENV_PURPOSE = "deployment-env"
ENDPOINT_KEY_PREFIX = "dumont_ep_"
ROUTES_CHANNEL = "routes"


def hash_key(key: str) -> str:
    """Keys of ours are random and long, so a plain digest keeps them."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_endpoint_key() -> str:
    return ENDPOINT_KEY_PREFIX + secrets.token_urlsafe(32)


def new_endpoint_path() -> str:
    """168 bits: a public endpoint is as secret as its path."""
    return secrets.token_urlsafe(21)


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
        purpose=InstancePurpose.MODEL,
        label=label or plan.model_id,
        spec=spec.model_dump(mode="json"),
    )
    session.add(instance)
    key = new_endpoint_key() if access_type is AccessType.PRIVATE else None
    endpoint = Endpoint(
        id=new_id("ep"),
        user_id=user_id,
        path=new_endpoint_path(),
        access_type=access_type,
        key_hash=hash_key(key) if key else None,
        model_type=plan.model_type.value,
        model_id=plan.model_id,
        port=plan.port,
        sealed_upstream_key=sealer.seal(secrets.token_urlsafe(32), ENDPOINT_KEY_PURPOSE),
    )
    session.add(endpoint)
    await session.flush()
    deployment = Deployment(
        id=new_id("dep"),
        user_id=user_id,
        instance_id=instance.id,
        endpoint_id=endpoint.id,
        model_type=plan.model_type.value,
        model_id=plan.model_id,
        plan=plan.model_dump(mode="json", exclude={"env"}),
        sealed_env=sealer.seal(json.dumps(plan.env), ENV_PURPOSE) if plan.env else None,
        label=label,
    )
    session.add(deployment)
    await session.flush()
    return instance, deployment, endpoint, key


def plan_of(deployment: Deployment, sealer: Sealer) -> ServePlan:
    """The plan with its environment opened: users put tokens there."""
    plan = ServePlan.model_validate(deployment.plan)
    if deployment.sealed_env is None:
        return plan
    return plan.model_copy(update={"env": json.loads(sealer.open(deployment.sealed_env, ENV_PURPOSE))})


async def publish(session: AsyncSession, deployment_id: str, lease_id: str) -> bool:
    """Point the endpoint at the lease's machine and call the deployment ready. False: it is not wanted any more."""
    deployment = await session.get(Deployment, deployment_id, with_for_update=True)
    if deployment is None or not deployment.wanted or deployment.status.is_over:
        return False
    deployment.status, deployment.stage = DeploymentStatus.READY, DeploymentStage.READY
    deployment.message = "The model answers."
    deployment.ready_at = deployment.ready_at or func.clock_timestamp()
    await route(session, deployment.endpoint_id, EndpointState.READY, lease_id)
    return True


async def route(session: AsyncSession, endpoint_id: str, state: EndpointState, lease_id: str | None) -> None:
    """Change an endpoint's route and tell the gateways when the transaction commits."""
    await session.execute(
        update(Endpoint)
        .where(Endpoint.id == endpoint_id)
        .values(state=state, lease_id=lease_id, version=Endpoint.version + 1, updated_at=func.clock_timestamp())
    )
    await session.execute(
        text("SELECT pg_notify(:channel, :payload)"), {"channel": ROUTES_CHANNEL, "payload": endpoint_id}
    )


async def end_deployment(session: AsyncSession, deployment_id: str, status: DeploymentStatus, message: str) -> None:
    """Close the deployment and its endpoint, and wish its instance gone. The first ending stands."""
    deployment = await session.get(Deployment, deployment_id, with_for_update=True)
    if deployment is None or deployment.status.is_over:
        return
    deployment.status, deployment.message, deployment.wanted = status, message, False
    deployment.ended_at = func.clock_timestamp()
    await route(session, deployment.endpoint_id, EndpointState.CLOSED, None)
    await session.execute(
        update(Instance).where(Instance.id == deployment.instance_id).values(desired=Desired.DESTROYED)
    )


async def deployments_of_instance(session: AsyncSession, instance_id: int) -> list[Deployment]:
    rows = await session.scalars(select(Deployment).where(Deployment.instance_id == instance_id))
    return list(rows)
