"""The application: its routes under both prefixes, and the one table that turns errors into answers."""

import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from temporalio.service import RPCError

from api import VERSION, health, metrics, openapi
from api.accounts import api_keys, auth, balance, ssh_keys, user_settings
from api.app_state import running_app_state
from api.endpoints import catalogue, deploy, events, logs, models
from api.errors import Conflict, Down, Invalid, PaymentNeeded, Problem, answer, invalid
from api.instances import actions, create, instances, keep_awake
from api.jobs import artifacts, jobs, output
from api.machines import agent, leases
from api.market import offers
from api.metrics import ApiMetrics
from api.middleware import BodyLimit, CountRequests, OneSlash
from api.snapshots import restores, snapshots
from clouds.errors import KeyRefused, ProviderError, Refused, Throttled
from db.instances.ssh_ports import NoPortFree
from domain.instances.actions import NotForSleeping, WrongState
from domain.refusals import AccountInUse, GpuLimitReached, NoOfferFree, ProviderKeyRefused, Refusal, SpendingCapReached
from domain.snapshots.snapshots import NothingRuns, SnapshotInUse
from settings import Settings

MAX_BODY_BYTES = 1_000_000
LARGER_BODIES = {"/jobs": 8_000_000}
"""By the end of the path. A job's script may have a megabyte, and JSON writes some characters as six."""

log = logging.getLogger(__name__)

ROUTERS: list[APIRouter] = [
    auth.router,
    api_keys.router,
    ssh_keys.router,
    user_settings.router,
    balance.router,
    catalogue.router,
    models.router,
    logs.router,
    events.router,
    deploy.router,
    offers.router,
    instances.router,
    create.router,
    actions.router,
    keep_awake.router,
    agent.router,
    snapshots.router,
    restores.router,
    jobs.router,
    output.router,
    artifacts.router,
    leases.router,
]
"""`offers` before `instances`, `catalogue` before `models`: `/instances/offers` is no instance."""


def create_app(settings: Settings) -> FastAPI:
    """An app that starts even when everything else is down; `/health` and 503 answers say what is."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running_app_state(settings) as app_state:
            app.state.app_state = app_state
            yield

    app = FastAPI(
        title="Dumont Cloud",
        version=VERSION,
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        lifespan=lifespan,
        redirect_slashes=False,
        redoc_url=None,
        generate_unique_id_function=_route_name,
    )
    _mount(app)
    _answer_errors(app)
    app.add_middleware(BodyLimit, max_bytes=MAX_BODY_BYTES, larger=LARGER_BODIES)
    app.state.metrics = ApiMetrics()
    app.add_middleware(CountRequests, metrics=app.state.metrics)
    app.add_middleware(OneSlash)
    return app


def _route_name(route: APIRoute) -> str:
    return route.name


def _mount(app: FastAPI) -> None:
    app.include_router(health.router)
    app.include_router(metrics.router)
    api = APIRouter(responses=openapi.COMMON_ERRORS)
    for router in ROUTERS:
        api.include_router(router)
    app.include_router(api, prefix="/api")
    app.include_router(api, prefix="/api/v1", include_in_schema=False)

    @app.get("/api/v1/openapi.json", include_in_schema=False)
    async def document() -> dict[str, Any]:
        return app.openapi()


def _answer_errors(app: FastAPI) -> None:
    app.add_exception_handler(Exception, _unexpected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for kind in (Problem, Refusal, ProviderError, SQLAlchemyError, RPCError):
        app.add_exception_handler(kind, _known)


async def _known(request: Request, error: Exception) -> Response:
    """The answer by the error table. An error that is not in it is a bug."""
    problem = as_problem(error)
    if problem is None:
        return await _unexpected(request, error)
    return answer(problem)


def as_problem(error: Exception) -> Problem | None:
    """The error table."""
    match error:
        case Problem():
            return error
        case SpendingCapReached():
            return PaymentNeeded(error.code, str(error))
        case AccountInUse() | NoOfferFree() | GpuLimitReached() | NoPortFree():
            return Conflict(error.code, str(error))
        case WrongState() | NotForSleeping() | NothingRuns() | SnapshotInUse():
            return Conflict(error.code, str(error))
        case Refusal():
            return Problem(error.code, str(error))
        case ProviderError():
            return _of_provider(error)
        case SQLAlchemyError():
            return _of_database(error)
        case RPCError():
            return Down("temporal_unavailable", "The workflow engine does not answer.")
    return None


def _of_provider(error: ProviderError) -> Problem | None:
    match error:
        case KeyRefused():
            return as_problem(ProviderKeyRefused(error.cloud))
        case Throttled():
            text = f"{error.cloud} takes no more requests from us for the moment."
            return Down("provider_busy", text, error.retry_after)
        case Refused():
            return Conflict("provider_refused", f"{error.cloud} refused the request.")
    return Down("provider_unavailable", f"{error.cloud} does not answer. Nothing was done.")


_UNSTORABLE = "22"
"""SQLSTATE class of data exceptions: a value that got past our checks and that a column cannot hold."""

_AWAY = ("08", "40", "53", "55", "57")
"""SQLSTATE classes: connection lost, transaction lost to another, no resources, locked, shutting down or starting."""


def _of_database(error: SQLAlchemyError) -> Problem | None:
    """Database errors: it is away, or a value cannot be stored. Any other is a bug."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    if state.startswith(_UNSTORABLE):
        return Invalid("invalid", "", "A value in the request cannot be stored.")
    unreachable = isinstance(error, OperationalError | InterfaceError | PoolTimeout) and not state
    if unreachable or state.startswith(_AWAY):
        return Down("database_unavailable", "The database does not answer.")
    return None


async def _unexpected(request: Request, error: Exception) -> Response:
    incident = secrets.token_hex(6)
    log.error("incident %s at %s %s", incident, request.method, request.url.path, exc_info=error)
    detail = f"Something went wrong on our side. The log has it as {incident}."
    return JSONResponse({"error": "internal_error", "detail": detail, "details": None}, 500)


async def _invalid(_: Request, error: Exception) -> Response:
    """FastAPI's list without the values that were sent: they may be passwords."""
    entries = cast(RequestValidationError, error).errors()
    return invalid("invalid", [{"type": each["type"], "loc": each["loc"], "msg": _worded(each)} for each in entries])


def _worded(entry: dict[str, Any]) -> str:
    """Pydantic counts the characters of secrets and constrained texts as items."""
    text = str(entry["msg"])
    if entry["type"] in ("too_short", "too_long") and text.startswith("Value should have"):
        return text.partition(" after validation")[0].replace(" items", " characters").replace(" item", " character")
    return text


_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


async def _http(_: Request, error: Exception) -> Response:
    problem = cast(HTTPException, error)
    if problem.status_code == 400:  # FastAPI's word for a body that is no JSON in some odder way
        return invalid("invalid", [{"type": "json_invalid", "loc": ["body"], "msg": problem.detail}])
    body = {"error": _CODES.get(problem.status_code, "error"), "detail": problem.detail, "details": None}
    return JSONResponse(body, problem.status_code, problem.headers)
