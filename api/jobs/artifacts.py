"""What jobs left: listed, downloaded in ranges, or all of it as one archive."""

from collections.abc import AsyncIterator
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Response, Security
from fastapi.responses import StreamingResponse
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.deps import App, OwnJob, Session
from api.errors import NotFound, Problem
from api.guard import Guarded
from api.jobs.archive import tar_gz
from api.jobs.ranges import RangeNotThere, one_range
from api.openapi import NOT_FOUND, UNAUTHORIZED, bearer, problem
from api.schemas import Answer
from db.jobs.tables import Job, JobArtifact

router = APIRouter(
    prefix="/jobs", tags=["jobs"], route_class=Guarded, dependencies=[Security(bearer)], responses=UNAUTHORIZED
)


class ArtifactAnswer(Answer):
    path: str
    size: int
    sha256: str
    url: str


class ArtifactsAnswer(Answer):
    job_id: str
    artifacts: list[ArtifactAnswer]
    count: int


class Gone(Problem):
    status = 410


async def artifacts_of(session: AsyncSession, job_id: str) -> list[ArtifactAnswer]:
    return [_shown(row) for row in await _rows(session, job_id)]


def _shown(row: JobArtifact) -> ArtifactAnswer:
    url = f"/api/jobs/{row.job_id}/artifacts/{quote(row.path)}"
    return ArtifactAnswer(path=row.path, size=row.size, sha256=row.sha256, url=url)


async def _rows(session: AsyncSession, job_id: str) -> list[JobArtifact]:
    query = select(JobArtifact).where(JobArtifact.job_id == job_id).order_by(JobArtifact.path)
    return list(await session.scalars(query))


def _check_kept(job: Job) -> None:
    if job.expired_at is not None:
        raise Gone("expired", "What this job left was kept for its time, and is gone.")


@router.get(
    "/{id}/artifacts",
    summary="The files that a job left",
    response_model=None,
    responses={**NOT_FOUND, 410: problem("`expired`")},
)
async def list_artifacts(
    found: OwnJob,
    app: App,
    session: Session,
    archive: Annotated[Literal["tar.gz"] | None, Query(description="All of them as one stream.")] = None,
) -> ArtifactsAnswer | Response:
    """`stdout.log` and `stderr.log` are always among them once the job has run."""
    _check_kept(found)
    rows = await _rows(session, found.id)
    if archive is None:
        return ArtifactsAnswer(job_id=found.id, artifacts=[_shown(row) for row in rows], count=len(rows))
    await session.commit()
    headers = {"Content-Disposition": f'attachment; filename="{found.id}.tar.gz"'}
    return StreamingResponse(tar_gz(app.artifacts, found.id, rows), media_type="application/gzip", headers=headers)


@router.get(
    "/{id}/artifacts/{path:path}",
    summary="One file",
    response_model=None,
    responses={
        **NOT_FOUND,
        206: {"description": "A part."},
        410: problem("`expired`"),
        416: problem("`no_such_range`"),
    },
)
async def download(
    found: OwnJob, path: str, app: App, session: Session, range: Annotated[str | None, Header(alias="Range")] = None
) -> Response:
    """Streamed; one `Range` is served. The `ETag` is the file's sha256."""
    _check_kept(found)
    row = await session.get(JobArtifact, (found.id, path))
    if row is None:
        raise NotFound("artifact")
    await session.commit()
    try:
        start, end = one_range(range, row.size) or (0, row.size)
    except RangeNotThere as error:
        raise Unsatisfiable(row.size) from error
    headers = {
        "Content-Length": str(end - start),
        "Accept-Ranges": "bytes",
        "ETag": f'"{row.sha256}"',
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(row.path.rsplit('/', 1)[-1], safe='')}",
        # a stranger's machine wrote it: no browser is to make a page of it
        "X-Content-Type-Options": "nosniff",
    }
    part = range is not None and (start, end) != (0, row.size)
    if part:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{row.size}"
    body: AsyncIterator[bytes] = app.artifacts.read(row.key, start, end)
    return StreamingResponse(body, 206 if part else 200, headers, "application/octet-stream")


class Unsatisfiable(Problem):
    status = 416

    def __init__(self, size: int) -> None:
        super().__init__("no_such_range", f"It has {size} bytes.", headers={"Content-Range": f"bytes */{size}"})
