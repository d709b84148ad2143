"""Jobs: a script on a rented GPU, its output and files kept, the machine gone."""

from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Query, Response, Security
from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, StringConstraints, model_validator
from sqlalchemy import func, select

from api.admission import check_market, price_limit
from api.deps import App, Me, OwnJob, Session
from api.dispatch import start_job_flow
from api.errors import Conflict
from api.idempotency import OnlyOnce, Starting
from api.instances.create import EnvName, Image
from api.jobs.schemas import JobAnswer, shown_job
from api.openapi import NOT_FOUND, UNAUTHORIZED, bearer, problem
from api.pagination import ListPage
from api.provider import working_key
from api.schemas import Answer, BigId, Body, Name, Short
from db.jobs.jobs import cancel_job, create_job, last_attempt, query_of
from db.jobs.tables import Job
from db.usage.spending import limits_of
from domain.jobs.artifacts import BadPath, output_path
from domain.jobs.phases import JobStatus
from domain.jobs.spec import DEFAULT_OUTPUT_PATH, DEFAULT_TIMEOUT_MINUTES, SPOT_RETRIES, JobSpec
from domain.machines.spec import DEFAULT_DISK_GB, DEFAULT_IMAGE
from failpoints import Failpoint, hit

MAX_SCRIPT = 1 << 20
MAX_OUTPUT_PATHS, MAX_PACKAGES, ENV_ENTRIES, ENV_VALUE_LENGTH = 50, 200, 100, 16_384

router = APIRouter(
    prefix="/jobs", tags=["jobs"], route_class=Starting, dependencies=[Security(bearer)], responses=UNAUTHORIZED
)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("an empty script does nothing")
    return text


def _checked_path(text: str) -> str:
    try:
        return output_path(text)
    except BadPath as error:
        raise ValueError(str(error)) from error


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _requirement(text: str) -> str:
    if text.startswith("-") or any(ord(character) < 32 for character in text):
        raise ValueError("a package such as `numpy` or `torch==2.5.1`, and no option of pip's")
    return text


Script = Annotated[str, StringConstraints(max_length=MAX_SCRIPT)]
EnvValue = Annotated[str, StringConstraints(max_length=ENV_VALUE_LENGTH)]
OutputPath = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_checked_path)]
Package = Annotated[str, StringConstraints(min_length=1, max_length=300, strip_whitespace=True)]


class JobBody(Body):
    """`command`, `gpu_name` and `output_path` are accepted for their longer names; `null` is the same as nothing."""

    script: Annotated[Script, AfterValidator(_not_blank)] = Field(
        validation_alias=AliasChoices("script", "command"),
        description="Run by bash (sh where there is none), or by what its first line `#!…` names.",
        examples=["nvidia-smi"],
    )
    name: Name | None = None
    gpu_type: Short | None = Field(
        default=None, min_length=1, validation_alias=AliasChoices("gpu_type", "gpu_name"), examples=["RTX 4090"]
    )
    offer_id: BigId | None = Field(default=None, description="Rent this offer and no other.")
    num_gpus: int = Field(default=1, ge=1, le=64)
    max_price: float | None = Field(default=None, gt=0, le=10_000, description="USD an hour.")
    use_spot: bool = Field(default=False, description="A machine that may be taken away, at about half the price.")
    max_retries: int | None = Field(
        default=None,
        ge=0,
        le=20,
        description=f"Machines that may be lost under it. Absent: {SPOT_RETRIES} for spot, else none.",
    )
    image: Image = DEFAULT_IMAGE
    disk_size: float = Field(default=DEFAULT_DISK_GB, ge=8, le=4096, description="GB.")
    timeout_minutes: float = Field(default=DEFAULT_TIMEOUT_MINUTES, ge=1, le=43_200, description="From its start.")
    env: dict[EnvName, EnvValue] = Field(default={}, max_length=ENV_ENTRIES, description="Kept sealed.")
    setup_script: Script = Field(default="", description="Run by bash before the script.")
    pip_packages: list[Annotated[Package, AfterValidator(_requirement)]] = Field(default=[], max_length=MAX_PACKAGES)
    output_paths: Annotated[list[OutputPath], BeforeValidator(_listed)] = Field(
        default=[DEFAULT_OUTPUT_PATH],
        max_length=MAX_OUTPUT_PATHS,
        validation_alias=AliasChoices("output_paths", "output_path"),
        description="Files and folders to keep; a relative path is in /workspace, where the script begins.",
    )

    checkpoint_minutes: float | None = Field(
        default=None,
        ge=0.1,
        le=1440,
        description="Save /workspace so often while the script runs; after a lost machine the next one begins with it.",
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_nothing(cls, value: Any) -> Any:
        return {name: each for name, each in value.items() if each is not None} if isinstance(value, dict) else value


class JobsAnswer(Answer):
    jobs: list[JobAnswer]
    count: int
    total: int
    next_cursor: str | None


_ERRORS: dict[int | str, dict[str, Any]] = {
    400: problem("No provider key, or it is refused."),
    402: problem("`balance_too_low`, or `spending_cap` when it could never be kept."),
    409: problem("`offer_gone`, `no_offers` at this price, `gpu_limit`, or an `Idempotency-Key` with another body."),
}


@router.post("", status_code=201, summary="Run a script on a rented GPU", responses=_ERRORS)
async def run_job(body: JobBody, me: Me, app: App, once: OnlyOnce) -> JobAnswer:
    """Queued at once. What your limits or the market do not allow now waits in order; follow it at `GET /jobs/{id}`."""
    key, _ = await working_key(app, me.id)
    spec = _spec(body, await price_limit(app, me.id, body.max_price))
    async with app.database.begin() as session:
        limits = await limits_of(session, me.id, app.providers.default_limits)
    await check_market(app, key, query_of(spec), limits)
    async with app.database.begin() as session:
        await once.claim(session)
        name = body.name or "job"
        job = await create_job(
            session, app.sealer, user_id=me.id, provider_key_id=key.id, name=name, spec=spec, env=body.env
        )
        answer = await shown_job(session, job)
        await once.keep(session, 201, answer)
    await hit(Failpoint.JOB_COMMITTED)
    await start_job_flow(app.workflows, job.id, job.name)
    return answer


def _spec(body: JobBody, max_price: float) -> JobSpec:
    said = body.model_dump(exclude={"name", "gpu_type", "env", "max_price", "max_retries"})
    retries = body.max_retries if body.max_retries is not None else SPOT_RETRIES if body.use_spot else 0
    return JobSpec(**said, gpu_name=body.gpu_type, max_price=max_price, max_retries=retries)


@router.get("", summary="My jobs, newest first")
async def list_jobs(
    me: Me,
    session: Session,
    page: ListPage,
    status: Annotated[JobStatus | None, Query(description="Only these.")] = None,
) -> JobsAnswer:
    wanted = [Job.user_id == me.id, *([] if status is None else [Job.status == status])]
    total = await session.scalar(select(func.count()).select_from(Job).where(*wanted))
    after = [] if page.after is None else [Job.number < page.after]
    newest = select(Job).where(*wanted, *after).order_by(Job.number.desc()).limit(page.limit + 1)
    rows = (await session.scalars(newest)).all()
    jobs = [await shown_job(session, row) for row in rows[: page.limit]]
    cursor = page.next_cursor([row.number for row in rows[: page.limit]], len(rows) > page.limit)
    return JobsAnswer(jobs=jobs, count=len(jobs), total=total or 0, next_cursor=cursor)


@router.get("/{id}", summary="One job", responses=NOT_FOUND)
async def show_job(found: OwnJob, session: Session) -> JobAnswer:
    return await shown_job(session, found)


@router.post(
    "/{id}/cancel",
    status_code=202,
    summary="End a job",
    responses={**NOT_FOUND, 409: problem("`wrong_state`: it has ended otherwise.")},
)
async def cancel(found: OwnJob, app: App, session: Session, response: Response, after: BackgroundTasks) -> JobAnswer:
    """At any moment. What runs gets SIGTERM, 10 s later SIGKILL; its output is kept, its machine goes."""
    job = await session.get_one(Job, found.id, with_for_update=True, populate_existing=True)
    if job.status is JobStatus.CANCELLED:
        response.status_code = 200
        return await shown_job(session, job)
    if job.status.is_over:
        raise Conflict("wrong_state", f"The job is {job.status.value}.")
    await cancel_job(session, job)
    await session.flush()
    await session.refresh(job)
    after.add_task(start_job_flow, app.workflows, job.id, job.name)
    return await shown_job(session, job)


@router.post(
    "/{id}/collect",
    status_code=202,
    summary="Fetch a job's files now",
    responses={**NOT_FOUND, 409: problem("`wrong_state`: no machine waits with its files.")},
)
async def collect(found: OwnJob, app: App, session: Session, after: BackgroundTasks) -> JobAnswer:
    """Files that could not be fetched wait on a stopped machine; this starts it for another try at once."""
    job = await session.get_one(Job, found.id, with_for_update=True, populate_existing=True)
    attempt = await last_attempt(session, job.id, lock=True)
    if attempt is None or not attempt.files_wait:
        raise Conflict("wrong_state", f"The job is {job.status.value}, and no machine waits with its files.")
    attempt.collect_at = func.clock_timestamp()
    await session.flush()
    await session.refresh(attempt)
    after.add_task(start_job_flow, app.workflows, job.id, job.name)
    return await shown_job(session, job)
