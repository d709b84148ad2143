"""`GET /models/{id}/events`: what happened to an endpoint's model server."""

from fastapi import APIRouter, Security

from api.deps import OwnDeployment, Session
from api.guard import Guarded
from api.openapi import NOT_FOUND, UNAUTHORIZED, bearer
from api.pagination import ListPage
from api.timelines import EventPage, timeline

router = APIRouter(
    prefix="/models",
    tags=["models"],
    route_class=Guarded,
    dependencies=[Security(bearer)],
    responses=UNAUTHORIZED,
)


class ModelEvents(EventPage):
    """`kind`: `ready`, `down`, `reloading`, `machine_lost`, `failed`, `stopped`. Its machine's are the instance's."""

    id: str
    deployment_id: str
    endpoint_id: str


@router.get("/{id}/events", summary="What happened to a model's server, newest first", responses=NOT_FOUND)
async def model_events(found: OwnDeployment, session: Session, page: ListPage) -> ModelEvents:
    events = await timeline(session, page, f"endpoint:{found.endpoint_id}")
    return ModelEvents(**events.model_dump(), id=found.id, deployment_id=found.id, endpoint_id=found.endpoint_id)
