"""The tables of jobs: what was asked, each attempt, what it prints, what it leaves."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from db.tables import Table
from domain.jobs.phases import AttemptEnd, AttemptState, JobStatus, Stage, Stream, Waiting


class Job(Table):
    """`spec` is a `JobSpec`. `number` is its place in the order of arrival, and what a NOTIFY `jobs` carries."""

    __tablename__ = "jobs"
    __table_args__ = (Index("jobs_of_user", "user_id", "status", "number"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Identity(), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    provider_key_id: Mapped[int] = mapped_column(ForeignKey("provider_keys.id"))
    name: Mapped[str]
    spec: Mapped[dict[str, Any]]
    sealed_env: Mapped[str | None]
    status: Mapped[JobStatus] = mapped_column(default=JobStatus.QUEUED)
    wanted: Mapped[bool] = mapped_column(default=True)
    """False: its owner cancelled it."""
    waiting: Mapped[Waiting | None]
    """While queued, once it was tried: why it has no machine."""
    message: Mapped[str] = mapped_column(default="")
    retries: Mapped[int] = mapped_column(default=0)
    exit_code: Mapped[int | None]
    notes: Mapped[list[Any]] = mapped_column(default=list)
    """Sentences on what was not collected, and on machines that were lost."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    started_at: Mapped[datetime | None]
    """Of the present or last attempt."""
    ended_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    followed_at: Mapped[datetime | None]
    """When somebody last watched its output, noted every few seconds at most."""
    expires_at: Mapped[datetime | None]
    """From then on its artifacts and output are gone."""
    expired_at: Mapped[datetime | None]


class JobAttempt(Table):
    """One machine's try at a job. The script runs at most once in it."""

    __tablename__ = "job_attempts"
    __table_args__ = (UniqueConstraint("job_id", "number"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    number: Mapped[int]
    instance_id: Mapped[int] = mapped_column(ForeignKey("instances.id"), index=True)
    state: Mapped[AttemptState] = mapped_column(default=AttemptState.PROVISIONING)
    end: Mapped[AttemptEnd | None]
    exit_code: Mapped[int | None]
    stage: Mapped[Stage] = mapped_column(default=Stage.SCRIPT)
    message: Mapped[str] = mapped_column(default="")
    stdout_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    """How much of it was followed so far; what is in `job_output` ends there."""
    stderr_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    collect_at: Mapped[datetime | None]
    """Its files could not be fetched: its machine waits stopped, and is started for the next try then."""
    parked_until: Mapped[datetime | None]
    """After this time its files are given up."""
    restored_from: Mapped[str | None]
    """The checkpoint that its `/workspace` began with."""

    @property
    def files_wait(self) -> bool:
        """Whether its files are still on a machine that waits for them to be fetched."""
        return self.state is AttemptState.ENDED and self.collect_at is not None


class JobOutput(Table):
    """A piece of what an attempt printed, by its place in the stream. The newest pieces only (db/jobs/output.py)."""

    __tablename__ = "job_output"
    attempt_id: Mapped[str] = mapped_column(ForeignKey("job_attempts.id"), primary_key=True)
    stream: Mapped[Stream] = mapped_column(primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    data: Mapped[bytes]


class JobArtifact(Table):
    """A file that a job left. `key`: where it lies in the artifact store; never made from the user's own names."""

    __tablename__ = "job_artifacts"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
