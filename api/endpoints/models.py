"""Deployments: list, look, end, turn the lock."""

import asyncio
from contextlib import suppress
from typing import Annotated

import httpx
from fastapi import APIRouter, BackgroundTasks, Query, Request, Response, Security
from sqlalchemy import func, select, update

from api.app_state import TEMPORAL_DOWN
from api.deps import App, Me, OwnDeployment, Session
from api.dispatch import tell_endpoint
from api.endpoints.catalogue import TYPES, TypeAnswer
from api.endpoints.schemas import (
    DeploymentAnswer,
    DeployStatusAnswer,
    deployment_rows,
    endpoint_url,
    one_row,
    shown,
    shown_status,
)
from api.errors import Conflict
from api.idempotency import OnlyOnce, Starting
from api.openapi import NOT_FOUND, UNAUTHORIZED, bearer, problem
from api.pagination import ListPage
from api.schemas import Answer
from db.endpoints import deployments, endpoints
from db.endpoints.tables import Deployment, Endpoint
from db.machines.leases import leases_of_instance
from domain.endpoints.phases import AccessType, DeploymentStatus, EndpointState
from domain.workflow_contracts import EndpointProgress

HEALTH_DEADLINE_SECONDS = 5.0
QUERY_SECONDS = 1.0

router = APIRouter(
    prefix="/models", tags=["models"], route_class=Starting, dependencies=[Security(bearer)], responses=UNAUTHORIZED
)


class ModelsAnswer(Answer):
    """`types` can be served; `models` are the caller's deployments."""

    types: list[TypeAnswer]
    models: list[DeploymentAnswer]
    count: int
    total: int
    next_cursor: str | None


class ModelHealth(Answer):
    """`status`: what the endpoint says, or `unreachable` when it says nothing readable."""

    id: str
    deployment_id: str
    status: str
    healthy: bool
    http_status: int | None
    endpoint: str


class Rotated(Answer):
    success: bool = True
    id: str
    deployment_id: str
    endpoint: str
    endpoint_url: str
    access_type: AccessType
    api_key: str | None
    message: str = "The old address and key are void."


@router.get("", summary="Types of models, and my deployments")
async def list_models(
    me: Me,
    app: App,
    session: Session,
    page: ListPage,
    status: Annotated[DeploymentStatus | None, Query(description="Only these.")] = None,
    all: Annotated[bool, Query(description="Stopped ones too.")] = False,
) -> ModelsAnswer:
    """Stopped ones are shown by `?all=true` or `?status=stopped` only."""
    wanted = [Deployment.user_id == me.id]
    if status is not None:
        wanted.append(Deployment.status == status)
    elif not all:
        wanted.append(Deployment.status != DeploymentStatus.STOPPED)
    total = await session.scalar(select(func.count()).select_from(Deployment).where(*wanted))
    after = [] if page.after is None else [Deployment.instance_id < page.after]
    rows = (await session.execute(deployment_rows(*wanted, *after).limit(page.limit + 1))).all()
    models = [shown(app.settings, (row[0], row[1], row[2])) for row in rows[: page.limit]]
    cursor = page.next_cursor([model.instance_id for model in models], len(rows) > page.limit)
    return ModelsAnswer(types=TYPES, models=models, count=len(models), total=total or 0, next_cursor=cursor)


@router.get("/{id}", summary="One deployment", responses=NOT_FOUND)
async def show_model(found: OwnDeployment, app: App, session: Session) -> DeploymentAnswer:
    return shown(app.settings, await one_row(session, found))


@router.get("/{id}/status", summary="How a deploy is coming along", responses=NOT_FOUND)
async def model_status(found: OwnDeployment, app: App, session: Session) -> DeployStatusAnswer:
    """Asked of the running workflow, with a second to answer; else from the record."""
    tried = await leases_of_instance(session, found.instance_id)
    row = await one_row(session, found)
    await session.commit()  # nobody who waits for an answer keeps a connection
    return shown_status(app.settings, row, await _live(app, row[0], row[1]), tried)


async def _live(app: App, deployment: Deployment, endpoint: Endpoint) -> EndpointProgress | None:
    """What the workflow says while something is going on; of an endpoint that serves, the record says all."""
    if deployment.status.is_over or endpoint.state is EndpointState.READY:
        return None
    with suppress(*TEMPORAL_DOWN, TimeoutError):
        async with asyncio.timeout(QUERY_SECONDS):  # the client's own deadline is one of each try, and it may try again
            return await app.workflows.progress_of_endpoint(endpoint.id)
    return None


@router.get("/{id}/health", summary="Does the model answer", responses=NOT_FOUND)
async def model_health(found: OwnDeployment, app: App, session: Session, request: Request) -> ModelHealth:
    """Asks the endpoint's own `/health` at the gateway, as the caller would."""
    _, endpoint, _ = await one_row(session, found)
    await session.commit()
    url = endpoint_url(app.settings, endpoint.path)
    http_status, said = await _ask(app, url, request.headers["Authorization"])
    return ModelHealth(
        id=found.id,
        deployment_id=found.id,
        status=said,
        healthy=http_status == 200 and said == "healthy",
        http_status=http_status,
        endpoint=url,
    )


async def _ask(app: App, url: str, authorization: str) -> tuple[int | None, str]:
    headers = {"Authorization": authorization}
    try:
        answer = await app.http.get(f"{url}/health", headers=headers, timeout=HEALTH_DEADLINE_SECONDS)
        return answer.status_code, str(answer.json().get("status", "unreachable"))
    except (httpx.HTTPError, ValueError, AttributeError):
        return None, "unreachable"


@router.post("/{id}/stop", status_code=202, summary="Stop a model and release its machine", responses=NOT_FOUND)
async def stop_model(
    found: OwnDeployment, app: App, session: Session, response: Response, after: BackgroundTasks
) -> DeploymentAnswer:
    """The endpoint closes at once; the machine goes as fast as its cloud lets it. Saying it again changes nothing."""
    if found.status.is_over:
        response.status_code = 200
    await deployments.stop(session, found.endpoint_id, "Stopped by its owner.")
    after.add_task(tell_endpoint, app.workflows, found.endpoint_id)
    return shown(app.settings, await one_row(session, found))


@router.delete("/{id}", status_code=202, summary="Stop a model and take it off the list", responses=NOT_FOUND)
async def delete_model(
    found: OwnDeployment, app: App, session: Session, response: Response, after: BackgroundTasks
) -> DeploymentAnswer:
    """As stop; one that failed is off the list then too."""
    failed = update(Deployment).where(Deployment.id == found.id, Deployment.status == DeploymentStatus.FAILED)
    await session.execute(failed.values(status=DeploymentStatus.STOPPED))
    return await stop_model(found, app, session, response, after)


@router.post(
    "/{id}/rotate",
    summary="A new address and key for the endpoint",
    responses={**NOT_FOUND, 409: problem("The deployment is over.")},
)
async def rotate(found: OwnDeployment, app: App, session: Session, once: OnlyOnce) -> Rotated:
    await once.claim(session)
    if found.status.is_over:
        raise Conflict("wrong_state", f"The deployment is {found.status}; its endpoint is closed.")
    endpoint = await session.get_one(Endpoint, found.endpoint_id, with_for_update=True)
    key = await endpoints.rotate(session, endpoint)
    url = endpoint_url(app.settings, endpoint.path)
    access = endpoint.access_type
    answer = Rotated(
        id=found.id, deployment_id=found.id, endpoint=url, endpoint_url=url, access_type=access, api_key=key
    )
    await once.keep(session, 200, answer)
    return answer
