"""`POST /models/deploy`: one call from a model's name to a workflow that serves it."""

from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Security
from pydantic import AfterValidator, AliasChoices, Field, StringConstraints, model_validator
from sqlalchemy.ext.asyncio import AsyncSession

from activities.instances.instances import lease_keys, machine_summary
from api.admission import find_offers, price_limit
from api.app_state import AppState
from api.deps import App, Me
from api.dispatch import start_flows
from api.endpoints.schemas import endpoint_url
from api.errors import Invalid
from api.idempotency import OnlyOnce, Starting
from api.openapi import UNAUTHORIZED, bearer, problem
from api.provider import working_key
from api.schemas import Answer, BigId, Body, Short
from db.accounts.tables import ProviderKey
from db.endpoints.deployments import create_deployment
from db.endpoints.tables import Deployment, Endpoint
from db.instances.instances import reserve_machine
from db.instances.tables import Instance
from db.machines.tables import Lease
from db.usage.spending import limits_of
from domain.endpoints.models import guess_type
from domain.endpoints.phases import AccessType, ModelType
from domain.endpoints.plans import ServePlan, plan_serving
from domain.endpoints.runtimes import DEFAULT_PORT, RUNTIMES, runtime_of
from domain.instances.instances import InstanceSpec
from domain.machines.spec import DEFAULT_DISK_GB
from domain.market.offers import Offer, OfferQuery
from domain.workflow_contracts import endpoint_workflow_id
from failpoints import Failpoint, hit

ESTIMATED_SECONDS = 300
"""What a real machine with a warm image and a small model takes."""
DISK_BESIDE_WEIGHTS_GB = 15.0
ENV_ENTRIES, ENV_VALUE_LENGTH = 100, 4096
_SERVED = " and ".join(kind for kind, runtime in RUNTIMES.items() if runtime.is_built)

router = APIRouter(
    prefix="/models", tags=["models"], route_class=Starting, dependencies=[Security(bearer)], responses=UNAUTHORIZED
)

_MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.\-]*(/[A-Za-z0-9][A-Za-z0-9_.\-]*)?$"
ModelName = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200, pattern=_MODEL_NAME)]
EnvName = Annotated[str, StringConstraints(max_length=100, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
EnvValue = Annotated[str, StringConstraints(max_length=ENV_VALUE_LENGTH)]


def _not_yet(value: Any) -> Any:
    raise ValueError("not supported yet")


class DeployBody(Body):
    """`type`, `model`, `gpu_name` and `name` are accepted for their longer names; `null` is the same as nothing."""

    model_id: ModelName = Field(
        validation_alias=AliasChoices("model_id", "model"), examples=["Qwen/Qwen2.5-0.5B-Instruct"]
    )
    model_type: ModelType | None = Field(
        default=None, validation_alias=AliasChoices("model_type", "type"), description="Guessed when absent."
    )
    gpu_type: Short | None = Field(
        default=None, min_length=1, validation_alias=AliasChoices("gpu_type", "gpu_name"), examples=["RTX 4090"]
    )
    max_price: float | None = Field(default=None, gt=0, le=10_000, description="USD an hour.", examples=[0.5])
    offer_id: BigId | None = Field(default=None, description="Rent this offer and no other.")
    num_gpus: int | None = Field(default=None, ge=1, le=64)
    port: int = Field(default=DEFAULT_PORT, ge=1024, le=65535, description="Of the model server on its machine.")
    env: dict[EnvName, EnvValue] = Field(default={}, max_length=ENV_ENTRIES)
    label: Short | None = Field(default=None, validation_alias=AliasChoices("label", "name"))
    access_type: AccessType | None = Field(default=None, description="Absent: as the operator has set, else public.")
    quantization: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]{1,40}$")] | None = None
    instance_id: Annotated[Any, AfterValidator(_not_yet)] = Field(default=None, description="Not taken yet.")
    auto_pause_minutes: Annotated[Any, AfterValidator(_not_yet)] = Field(default=None, description="Not taken yet.")

    @model_validator(mode="before")
    @classmethod
    def _null_is_nothing(cls, value: Any) -> Any:
        return {name: each for name, each in value.items() if each is not None} if isinstance(value, dict) else value


class DeployAnswer(Answer):
    """`api_key` is shown this once, for a private endpoint."""

    success: bool = True
    id: str
    deployment_id: str
    deploy_id: str
    instance_id: int
    status: str
    endpoint_id: str
    endpoint: str
    endpoint_url: str
    access_type: AccessType
    api_key: str | None = None
    workflow_id: str
    message: str
    estimated_time_seconds: int = ESTIMATED_SECONDS


_ERRORS: dict[int | str, dict[str, Any]] = {
    400: problem("No provider key, or it is refused."),
    402: problem("`balance_too_low`, or `spending_cap`."),
    409: problem("`offer_gone`, `no_offers`, or an `Idempotency-Key` used with another body."),
}


@router.post("/deploy", status_code=201, summary="Serve a model", responses=_ERRORS)
async def deploy(body: DeployBody, me: Me, app: App, once: OnlyOnce) -> DeployAnswer:
    """Every refusal comes before anything is written or rented. Follow it at `GET /models/{id}/status`."""
    key, account_id = await working_key(app, me.id)
    _check_served(body)
    plan, query = _plan_and_query(body, await price_limit(app, me.id, body.max_price))
    offers = await find_offers(app, key, query, plan.memory_needed_gb)
    async with app.database.begin() as session:
        await once.claim(session)
        answer, rows = await _write(session, app, RentalTarget(me.id, key, account_id, query, offers), body)
        await once.keep(session, 201, answer)
    await hit(Failpoint.DEPLOY_COMMITTED)
    await start_flows(app.workflows, *rows)
    return answer


def _check_served(body: DeployBody) -> None:
    kind = body.model_type or guess_type(body.model_id)
    if not runtime_of(kind).is_built:
        raise Invalid("not_supported_yet", "model_type", f"Models of type {kind} are not served yet; {_SERVED} are.")


def _plan_and_query(body: DeployBody, max_price: float) -> tuple[ServePlan, OfferQuery]:
    """What would serve the model, and the offers that would do but for their memory."""
    plan = _plan(body, body.num_gpus or 1)
    return plan, OfferQuery(
        gpu_name=body.gpu_type,
        offer_id=body.offer_id,
        num_gpus=body.num_gpus or (None if body.offer_id else 1),
        min_disk=_disk_gb(plan),
        max_price=max_price,
    )


def _plan(body: DeployBody, num_gpus: int) -> ServePlan:
    kind = body.model_type or guess_type(body.model_id)
    plan = plan_serving(kind, body.model_id, port=body.port, quantization=body.quantization, num_gpus=num_gpus)
    return plan.model_copy(update={"env": body.env})


def _disk_gb(plan: ServePlan) -> float:
    """The weights take less on disk than in memory; the rest is for the server's own files."""
    return max(DEFAULT_DISK_GB, (plan.memory_needed_gb or 0.0) + DISK_BESIDE_WEIGHTS_GB)


class RentalTarget(NamedTuple):
    """Where and for whom to rent: whose wish, on which account, for what, and the offers that would do."""

    user_id: int
    key: ProviderKey
    account_id: int
    query: OfferQuery
    offers: list[Offer]


async def _write(
    session: AsyncSession, app: AppState, place: RentalTarget, body: DeployBody
) -> tuple[DeployAnswer, tuple[Instance, Deployment, Lease]]:
    """The rows that demand everything else, in one transaction."""
    num_gpus = place.offers[0].num_gpus
    plan = _plan(body, num_gpus)
    instance, deployment, endpoint, api_key = await create_deployment(
        session,
        app.sealer,
        user_id=place.user_id,
        provider_key_id=place.key.id,
        spec=_spec(place.query, plan, num_gpus),
        plan=plan,
        access_type=body.access_type or AccessType(app.settings.default_access_type),
        label=body.label,
    )
    limits = await limits_of(session, place.user_id, app.providers.default_limits)
    lease = await reserve_machine(session, instance, place.account_id, place.offers, lease_keys(app.sealer), limits)
    return _answer(app, deployment, endpoint, lease, api_key), (instance, deployment, lease)


def _answer(
    app: AppState, deployment: Deployment, endpoint: Endpoint, lease: Lease, api_key: str | None
) -> DeployAnswer:
    url = endpoint_url(app.settings, endpoint.path)
    return DeployAnswer(
        id=deployment.id,
        deployment_id=deployment.id,
        deploy_id=deployment.id,
        instance_id=deployment.instance_id,
        status=deployment.status,
        endpoint_id=endpoint.id,
        endpoint=url,
        endpoint_url=url,
        access_type=endpoint.access_type,
        api_key=api_key,
        workflow_id=endpoint_workflow_id(endpoint.id),
        message=f"Deploying {deployment.model_id} on {machine_summary(lease)}.",
    )


def _spec(query: OfferQuery, plan: ServePlan, num_gpus: int) -> InstanceSpec:
    """What later attempts rent by: the same wish, with the memory that the model needs on each GPU."""
    each = None if plan.memory_needed_gb is None else plan.memory_needed_gb / num_gpus
    query = query.model_copy(update={"min_gpu_ram": each, "num_gpus": num_gpus})
    return InstanceSpec(query=query, image=plan.image, disk_size=min(4096.0, query.min_disk or DEFAULT_DISK_GB))
