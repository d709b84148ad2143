"""`POST /instances`: a GPU to work on, with an SSH address that stays."""

from typing import Annotated, Any

from fastapi import APIRouter, Security
from pydantic import AfterValidator, AliasChoices, Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncSession

from activities.instances.instances import lease_keys
from api.admission import find_offers, price_limit
from api.app_state import AppState
from api.deps import App, Me
from api.dispatch import start_instance_flows
from api.idempotency import OnlyOnce, Starting
from api.instances.schemas import InstanceAnswer, shown_instance
from api.openapi import UNAUTHORIZED, bearer, problem
from api.provider import working_key
from api.schemas import BigId, Body, Short
from clients.ssh_keys import NotAPublicKey, read_public_key
from db.accounts.ssh_keys import keys_of_user
from db.accounts.tables import ProviderKey
from db.instances.instances import Address, NewInstance, create_instance, reserve_machine
from db.instances.tables import Instance
from db.machines.machine_env import seal_env
from db.machines.tables import Lease
from db.usage.spending import limits_of
from domain.instances.instances import DEFAULT_PERSIST, InstanceSpec
from domain.instances.phases import SshWake
from domain.machines.spec import DEFAULT_DISK_GB, DEFAULT_IMAGE
from domain.market.offers import Offer, OfferQuery
from failpoints import Failpoint, hit

ENV_ENTRIES, ENV_ENTRY_LENGTH, MAX_PORTS, MAX_ONSTART = 100, 256, 32, 2500
"""What every cloud takes (the least of their limits), less what we need ourselves."""
NO_KEY = (
    "No SSH key of yours is known, so nobody can log in. Add one with POST /api/ssh-keys "
    '{"name": ..., "public_key": ...}; it is good at once.'
)

router = APIRouter(
    prefix="/instances",
    tags=["instances"],
    route_class=Starting,
    dependencies=[Security(bearer)],
    responses=UNAUTHORIZED,
)


def _absolute(path: str) -> str:
    parts = path.split("/")
    if not path.startswith("/") or ".." in parts or path == "/" or "\n" in path:
        raise ValueError("a path from the root of the machine, such as /workspace")
    return path.rstrip("/")


def _checked_key(text: str) -> str:
    try:
        return read_public_key(text).line
    except NotAPublicKey as error:
        raise ValueError(str(error)) from error


EnvName = Annotated[str, StringConstraints(max_length=100, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
EnvValue = Annotated[str, StringConstraints(max_length=ENV_ENTRY_LENGTH)]
MachinePath = Annotated[str, StringConstraints(max_length=500), AfterValidator(_absolute)]
Image = Annotated[str, StringConstraints(max_length=500, pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-/:@]*$")]
PublicKey = Annotated[str, StringConstraints(max_length=20_000, strip_whitespace=True), AfterValidator(_checked_key)]
Minutes = Annotated[float, Field(gt=0, le=525_600)]


class InstanceChanges(Body):
    """What can be said when an instance is made and changed later."""

    label: Short | None = None
    persist: list[MachinePath] | None = Field(
        default=None, max_length=20, description="Paths that outlive the machine."
    )
    idle_pause_minutes: Minutes | None = Field(default=None, description="Idle for so long: paused.")
    idle_hibernate_minutes: Minutes | None = Field(default=None, description="Paused for so long: hibernated.")
    ssh_wake: SshWake | None = Field(default=None, description="Whether a login over SSH wakes it.")


class InstanceBody(InstanceChanges):
    gpu_type: Short | None = Field(
        default=None, min_length=1, validation_alias=AliasChoices("gpu_type", "gpu_name"), examples=["RTX 4090"]
    )
    image: Image = DEFAULT_IMAGE
    disk_size: float = Field(default=DEFAULT_DISK_GB, ge=8, le=4096, description="GB.")
    offer_id: BigId | None = Field(default=None, description="Rent this offer and no other.")
    num_gpus: int | None = Field(default=None, ge=1, le=64)
    max_price: float | None = Field(default=None, gt=0, le=10_000, description="USD an hour.")
    ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field(default=[], max_length=MAX_PORTS)
    env: dict[EnvName, EnvValue] = Field(default={}, max_length=ENV_ENTRIES)
    onstart_cmd: Annotated[str, StringConstraints(max_length=MAX_ONSTART)] = Field(
        default="", description="Run at every start of the machine."
    )
    ssh_public_keys: list[PublicKey] = Field(default=[], max_length=20, description="Besides those of the account.")
    skip_standby: bool = Field(default=False, description="Taken, and without effect until standbys are built.")


_ERRORS: dict[int | str, dict[str, Any]] = {
    400: problem("No provider key, or it is refused."),
    402: problem("`balance_too_low`, or `spending_cap`."),
    409: problem("`offer_gone`, `no_offers`, or an `Idempotency-Key` used with another body."),
}


@router.post("", status_code=201, summary="A GPU to work on", responses=_ERRORS)
async def make_instance(body: InstanceBody, me: Me, app: App, once: OnlyOnce) -> InstanceAnswer:
    """Its id, SSH address and host key are final at once; `status` tells when SSH answers."""
    query = OfferQuery(
        gpu_name=body.gpu_type,
        offer_id=body.offer_id,
        num_gpus=body.num_gpus or (None if body.offer_id else 1),
        min_disk=body.disk_size,
        max_price=await price_limit(app, me.id, body.max_price),
    )
    key, account_id = await working_key(app, me.id)
    offers = await find_offers(app, key, query, None)
    async with app.database.begin() as session:
        await once.claim(session)
        instance, lease = await place_instance(session, app, _wanted(app, me.id, key, body, query), account_id, offers)
        await session.refresh(instance)
        answer = shown_instance(instance, lease)
        await once.keep(session, 201, answer)
    await hit(Failpoint.INSTANCE_COMMITTED)
    await start_instance_flows(app.workflows, instance, lease)
    return answer


def _wanted(app: AppState, user_id: int, key: ProviderKey, body: InstanceBody, query: OfferQuery) -> NewInstance:
    spec = InstanceSpec(
        query=query,
        image=body.image,
        disk_size=body.disk_size,
        ports=sorted(set(body.ports)),
        sealed_env=seal_env(app.sealer, body.env),
        onstart_cmd=body.onstart_cmd,
    )
    return NewInstance(
        user_id=user_id,
        provider_key_id=key.id,
        spec=spec,
        label=body.label,
        persist=body.persist if body.persist is not None else DEFAULT_PERSIST,
        ssh_public_keys=body.ssh_public_keys,
        ssh_wake=body.ssh_wake or SshWake.AUTO,
        idle_pause_minutes=body.idle_pause_minutes,
        idle_hibernate_minutes=body.idle_hibernate_minutes,
        warnings=[],
    )


async def place_instance(
    session: AsyncSession, app: AppState, wanted: NewInstance, account_id: int, offers: list[Offer]
) -> tuple[Instance, Lease]:
    """Write an instance and its first lease, in the caller's transaction. The flows are to be started after it.

    Raises:
        SpendingCapReached, GpuLimitReached, NoOfferFree, NoPortFree
    """
    settings = app.settings
    if not wanted.ssh_public_keys and not await keys_of_user(session, wanted.user_id):
        wanted = wanted._replace(warnings=[*wanted.warnings, NO_KEY])
    address = Address(settings.ssh_host, settings.ssh_shard, settings.ssh_port_range)
    instance = await create_instance(session, app.sealer, address, wanted)
    limits = await limits_of(session, wanted.user_id, app.providers.default_limits)
    return instance, await reserve_machine(session, instance, account_id, offers, lease_keys(app.sealer), limits)
