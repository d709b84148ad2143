"""Deployments as they are shown."""

from collections.abc import Sequence
from typing import Literal

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.schemas import Answer, Time, WireId
from db.endpoints.tables import Deployment, Endpoint
from db.instances.tables import Instance
from db.machines.tables import Lease
from domain.endpoints.phases import AccessType, DeploymentStage, DeploymentStatus, EndpointState
from domain.machines.phases import LeaseOutcome
from domain.workflow_contracts import EndpointProgress, endpoint_workflow_id
from settings import Settings


class DeploymentAnswer(Answer):
    """`status` is how the order went: it stays `ready` while the server behind the endpoint is started again.

    Whether requests are answered now, `endpoint_state` says; `restarts`: how often in a row the server failed.
    """

    id: str
    deployment_id: str
    deploy_id: str
    instance_id: int
    endpoint_id: str
    model_type: str
    model_id: str
    label: str | None
    status: DeploymentStatus
    stage: DeploymentStage
    progress: int
    message: str
    endpoint: str
    endpoint_url: str
    access_type: AccessType
    endpoint_state: EndpointState
    restarts: int
    port: int
    gpu_name: str | None
    num_gpus: int | None
    dph_total: float | None
    phase_timings_ms: dict[str, int]
    workflow_id: str
    created_at: Time
    ready_at: Time | None
    ended_at: Time | None


class TriedAnswer(Answer):
    """One offer that was tried, and what came of it in a sentence."""

    offer_id: WireId
    outcome: LeaseOutcome
    reason: str
    gpu_name: str
    machine_id: WireId
    dph_total: float


class DeployStatusAnswer(DeploymentAnswer):
    """`source`: whether the running workflow said so just now, or the record."""

    source: Literal["workflow", "record"]
    offers_tried: list[TriedAnswer]


Row = tuple[Deployment, Endpoint, Lease | None]


def deployment_rows(*conditions: ColumnElement[bool]) -> Select[Deployment, Endpoint, Lease]:
    """Each deployment with its endpoint and its instance's present lease, newest first."""
    return (
        select(Deployment, Endpoint, Lease)
        .join(Endpoint, Endpoint.id == Deployment.endpoint_id)
        .join(Instance, Instance.id == Deployment.instance_id)
        .outerjoin(Lease, Lease.id == Instance.lease_id)
        .where(*conditions)
        .order_by(Deployment.instance_id.desc())
    )


async def one_row(session: AsyncSession, deployment: Deployment) -> Row:
    """Read afresh, so that what was changed in this transaction shows."""
    query = deployment_rows(Deployment.id == deployment.id).execution_options(populate_existing=True)
    found = (await session.execute(query)).one()
    return found[0], found[1], found[2]


def endpoint_url(settings: Settings, path: str) -> str:
    return f"{settings.gateway_url.rstrip('/')}/e/{path}"


def shown(settings: Settings, row: Row, live: EndpointProgress | None = None) -> DeploymentAnswer:
    """The deployment; where the running workflow says more than the record, its word."""
    deployment, endpoint, lease = row
    said = live if live is not None and not deployment.status.is_over else None
    stage = said.stage if said else deployment.stage
    url = endpoint_url(settings, endpoint.path)
    return DeploymentAnswer(
        id=deployment.id,
        deployment_id=deployment.id,
        deploy_id=deployment.id,
        instance_id=deployment.instance_id,
        endpoint_id=endpoint.id,
        model_type=deployment.model_type,
        model_id=deployment.model_id,
        label=deployment.label,
        status=said.status if said else deployment.status,
        stage=stage,
        progress=stage.progress,
        message=(said.message if said else "") or deployment.message or _SENTENCES[stage],
        endpoint=url,
        endpoint_url=url,
        access_type=endpoint.access_type,
        endpoint_state=endpoint.state,
        restarts=endpoint.failures,
        port=endpoint.port,
        gpu_name=lease.gpu_name if lease else None,
        num_gpus=lease.num_gpus if lease else None,
        dph_total=lease.dph_total if lease else None,
        phase_timings_ms=_in_order((said.phase_timings_ms if said else {}) or deployment.phase_timings_ms),
        workflow_id=endpoint_workflow_id(endpoint.id),
        created_at=deployment.created_at,
        ready_at=deployment.ready_at,
        ended_at=deployment.ended_at,
    )


def _in_order(timings: dict[str, int]) -> dict[str, int]:
    """As the phases follow each other; a JSONB column forgets the order."""
    return {stage.value: timings[stage] for stage in DeploymentStage if stage in timings}


def shown_status(
    settings: Settings, row: Row, live: EndpointProgress | None, tried: Sequence[Lease]
) -> DeployStatusAnswer:
    return DeployStatusAnswer(
        **shown(settings, row, live).model_dump(),
        source="record" if live is None else "workflow",
        offers_tried=[tried_answer(lease) for lease in tried],
    )


def tried_answer(lease: Lease) -> TriedAnswer:
    return TriedAnswer(
        offer_id=lease.offer_id,
        outcome=lease.outcome,
        reason=lease.reason or _OUTCOMES[lease.outcome],
        gpu_name=lease.gpu_name,
        machine_id=lease.host_id,
        dph_total=lease.dph_total,
    )


_SENTENCES = {
    DeploymentStage.PROVISIONING: "Renting a machine and waiting until it is up.",
    DeploymentStage.STARTING_SERVER: "Starting the model server.",
    DeploymentStage.LOADING_MODEL: "The model is loading.",
    DeploymentStage.PUBLISHING: "Publishing the endpoint.",
    DeploymentStage.READY: "The model answers.",
}

_OUTCOMES = {
    LeaseOutcome.PENDING: "Being rented or booting.",
    LeaseOutcome.WORKING: "It is up.",
    LeaseOutcome.SERVED: "It served until it was released.",
    LeaseOutcome.OFFER_GONE: "Somebody else had taken it.",
    LeaseOutcome.REFUSED: "The provider refused to rent it.",
    LeaseOutcome.ANSWER_LOST: "The provider's answer was lost, and no machine came of it.",
    LeaseOutcome.BOOT_FAILED: "It did not come up.",
    LeaseOutcome.LOST: "It was lost while in use.",
    LeaseOutcome.CANCELLED: "It was not wanted any more.",
}
