"""What a job prints: as it is, as it comes, and as one log."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Header, Query, Response, Security
from fastapi.responses import StreamingResponse

from api.app_state import AppState
from api.deps import App, OwnJob, Session
from api.guard import Guarded
from api.jobs.artifacts import ArtifactAnswer, artifacts_of
from api.openapi import NOT_FOUND, UNAUTHORIZED, bearer
from api.schemas import Answer
from db.jobs.jobs import last_attempt
from db.jobs.output import known, note_follower, read, tail
from db.jobs.tables import Job, JobAttempt
from domain.jobs.phases import AttemptState, JobStatus, Stream
from domain.jobs.utf8 import whole_characters

SHOWN = 1 << 20
PIECE = 256 * 1024
LOOK_AGAIN_SECONDS = 5.0
"""How often to look without a notification, and to send a keepalive on a silent stream."""

router = APIRouter(
    prefix="/jobs", tags=["jobs"], route_class=Guarded, dependencies=[Security(bearer)], responses=UNAUTHORIZED
)


class OutputAnswer(Answer):
    """The end of each stream of the last attempt, up to `tail_bytes`.

    `truncated`: there was more before; the logs among the artifacts have all of it once the job is over. Bytes that are
    no UTF-8 are shown as U+FFFD.
    """

    job_id: str
    status: JobStatus
    exit_code: int | None
    stdout: str
    stderr: str
    files: list[ArtifactAnswer]
    truncated: bool


class JobLogs(Answer):
    job_id: str
    logs: str


@router.get("/{id}/output", summary="What a job prints, now or as it comes", response_model=None, responses=NOT_FOUND)
async def job_output(
    found: OwnJob,
    app: App,
    session: Session,
    follow: Annotated[bool, Query(description="Server-sent events: `output`, `status`, `gap`, `end`.")] = False,
    tail_bytes: Annotated[int, Query(ge=0, le=16 << 20)] = SHOWN,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
) -> OutputAnswer | Response:
    """Live while it runs. A stream that was cut goes on where it was with the `Last-Event-ID` of its last event."""
    if follow:
        await session.commit()
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        events = _events(app, found.id, OutputPosition.read(last_event_id))
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)
    await note_follower(session, found)
    attempt = await last_attempt(session, found.id)
    out_from, out = (0, b"") if attempt is None else await tail(session, attempt, Stream.STDOUT, tail_bytes)
    err_from, err = (0, b"") if attempt is None else await tail(session, attempt, Stream.STDERR, tail_bytes)
    return OutputAnswer(
        job_id=found.id,
        status=found.status,
        exit_code=found.exit_code,
        stdout=out.decode(errors="replace"),
        stderr=err.decode(errors="replace"),
        files=await artifacts_of(session, found.id),
        truncated=out_from > 0 or err_from > 0,
    )


@router.get("/{id}/logs", summary="Both streams as one text", responses=NOT_FOUND)
async def job_logs(found: OwnJob, session: Session) -> JobLogs:
    """stdout, then stderr: the order between the two is not known."""
    attempt = await last_attempt(session, found.id)
    if attempt is None:
        return JobLogs(job_id=found.id, logs="")
    texts = [(await tail(session, attempt, each, SHOWN))[1].decode(errors="replace") for each in Stream]
    return JobLogs(
        job_id=found.id, logs="".join(text if text.endswith("\n") or not text else f"{text}\n" for text in texts)
    )


class OutputPosition(NamedTuple):
    """A follower's place: the attempt, and bytes of each stream. An event's id has it, as `2-1024-17`."""

    attempt: int = 0
    stdout: int = 0
    stderr: int = 0

    @classmethod
    def read(cls, text: str | None) -> "OutputPosition":
        words = (text or "").split("-")
        if len(words) != 3 or not all(word.isascii() and word.isdigit() and len(word) < 16 for word in words):
            return cls()
        return cls(*map(int, words))

    def __str__(self) -> str:
        return f"{self.attempt}-{self.stdout}-{self.stderr}"

    def of(self, stream: Stream) -> int:
        return self.stdout if stream is Stream.STDOUT else self.stderr

    def moved(self, stream: Stream, to: int) -> "OutputPosition":
        return self._replace(**{stream.value: to})


async def _events(app: AppState, job_id: str, place: OutputPosition) -> AsyncIterator[str]:
    """Until the job is over and all that is kept of its output was sent."""
    status: JobStatus | None = None
    while True:
        async with app.database.begin() as session:
            job = await session.get_one(Job, job_id)
            await note_follower(session, job)
            attempt = await last_attempt(session, job_id)
            sent, place = await _new_output(session, attempt, place, ended=_has_ended(attempt))
        if job.status is not status:
            status = job.status
            yield _event("status", place, {"status": status, "message": job.message, "exit_code": job.exit_code})
        for event in sent:
            yield event
        if status.is_over and not sent:
            yield _event("end", place, {"status": status, "exit_code": job.exit_code, "message": job.message})
            return
        if not sent:
            await app.job_news.wait(job.number, LOOK_AGAIN_SECONDS)
            yield ": still here\n\n"


def _has_ended(attempt: JobAttempt | None) -> bool:
    return attempt is not None and attempt.state not in (AttemptState.PROVISIONING, AttemptState.RUNNING)


async def _new_output(
    session: Session, attempt: JobAttempt | None, place: OutputPosition, *, ended: bool
) -> tuple[list[str], OutputPosition]:
    """The events for what was printed since `place`, and the place after them."""
    events: list[str] = []
    if attempt is None:
        return events, place
    if attempt.number != place.attempt:
        place = OutputPosition(attempt.number)
    for stream in Stream:
        begins, data = await read(session, attempt.id, stream, place.of(stream), PIECE)
        if begins != place.of(stream):
            place = place.moved(stream, begins)
            events.append(_event("gap", place, {"stream": stream, "continues_at": begins}))
        last = ended and begins + len(data) >= known(attempt, stream)
        text = data if last else data[: whole_characters(data)]
        if text:
            place = place.moved(stream, begins + len(text))
            words = {"stream": stream, "offset": begins, "text": text.decode(errors="replace")}
            events.append(_event("output", place, words))
    return events, place


def _event(kind: str, place: OutputPosition, data: dict[str, object]) -> str:
    return f"event: {kind}\nid: {place}\ndata: {json.dumps(data)}\n\n"
