"""What a job leaves: fetched from its machine into the artifact store before the machine goes, and let go in time."""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.errors import Fault, Final, NotYet, each_alone, ssh_errors
from activities.jobs.runner import MOST_OUTPUT, NO_RUNNER, collecting, folder_of
from activities.jobs.unpacking import Kept, Unpacked, UnpackLimits, unpack
from activities.machines.machines import MachineActivities
from clients.object_store import ObjectStore, StoreError
from clients.ssh import CommandTimedOut
from clients.ssh_streams import stream
from db.instances.tables import Instance
from db.jobs.jobs import say
from db.jobs.output import tail, trim
from db.jobs.tables import Job, JobArtifact, JobAttempt, JobOutput
from db.machines.tables import Lease
from db.session import Database
from domain.jobs.phases import AttemptEnd, AttemptState, JobStatus, Stream
from domain.jobs.spec import JobSpec
from domain.machines.phases import LeaseState
from failpoints import Failpoint, hit
from settings import Settings

SSH_DEADLINE = 15.0
QUIET_SECONDS = 120.0
PAUSE = 2.0
LOGS = {Stream.STDOUT: "stdout.log", Stream.STDERR: "stderr.log"}
MOST_NOTES = 100
TRIMMED_AFTER = timedelta(hours=1)
CANCELLED_PATIENCE = timedelta(seconds=30)
"""Nobody waits for long for the files of a job that was not wanted any more."""
FAILING = "Its files cannot be collected yet; the machine waits for a while before it goes."


class ArtifactActivities:
    def __init__(self, database: Database, store: ObjectStore, machines: MachineActivities, settings: Settings) -> None:
        self._database = database
        self._store = store
        self._machines = machines
        self._patience = timedelta(seconds=settings.collect_seconds)
        self._limits = UnpackLimits(files=settings.artifact_files, size=int(settings.artifact_gigabytes * 1e9))

    @activity.defn
    async def collect_artifacts(self, attempt_id: str) -> None:
        """Fetch the logs and the output paths from the machine, and write what there is now. Again: all of it anew.

        Raises:
            Final: MACHINE_LOST. NOT_COLLECTED: it failed for as long as a machine is to wait.
        """
        job, attempt, lease = await self._rows(attempt_id)
        if attempt.state is not AttemptState.ENDED:
            return
        if lease is None:
            raise Final(Fault.MACHINE_LOST, "the machine is gone")
        await hit(Failpoint.JOB_COLLECTING)
        try:
            with ssh_errors(PAUSE), _store_errors():
                found, said = await self._fetch(job, attempt, lease)
        except NotYet as error:
            patience = CANCELLED_PATIENCE if attempt.end is AttemptEnd.CANCELLED else self._patience
            if datetime.now(UTC) - activity.info().scheduled_time > patience:
                raise Final(Fault.NOT_COLLECTED, f"its files could not be collected: {error.message}") from error
            await self._note_failing(job.id)
            raise
        await hit(Failpoint.JOB_STORED)
        await self._write(attempt_id, found, said)
        await hit(Failpoint.JOB_COLLECTED)

    async def _fetch(self, job: Job, attempt: JobAttempt, lease: Lease) -> tuple[Unpacked, list[str]]:
        folder = folder_of(attempt.id)
        command = collecting(folder, JobSpec.model_validate(job.spec).output_paths)
        logs = {f"{folder}/{each.value}".lstrip("/"): LOGS[each] for each in Stream}
        async with self._machines.ssh.connection(self._machines.target(lease), timeout=SSH_DEADLINE) as connection:
            tar = await stream(connection, command, quiet_seconds=QUIET_SECONDS)
            try:
                found = await unpack(aiter(tar), self._store, _prefix(attempt), self._limits, logs)
                code, stderr = (0, "") if found.cut else await tar.ended()
            except CommandTimedOut as error:
                raise NotYet("the machine is slow to hand over its files", PAUSE) from error
            except tarfile.TarError as error:
                if (await tar.ended())[0] == NO_RUNNER:
                    raise Final(Fault.MACHINE_LOST, "what ran the job is gone from its machine") from error
                raise
            finally:
                tar.close()
        if code > 1 or not set(LOGS.values()) <= {each.path for each in found.kept}:
            raise NotYet(f"the machine could not pack its files: {stderr.strip()[-300:]}", PAUSE)
        return found, _said(stderr)

    async def _note_failing(self, job_id: str) -> None:
        """Said in the record while the machine waits, once."""
        async with self._database.begin() as session:
            job = await session.get_one(Job, job_id, with_for_update=True)
            if job.status is JobStatus.COLLECTING and job.message != FAILING:
                job.message = FAILING
                await say(session, job, "collecting_fails", FAILING)

    @activity.defn
    async def keep_what_was_seen(self, attempt_id: str) -> None:
        """The machine gives nothing (any more): its logs are what was followed of them.

        A store that does not take even these holds nobody up: the machine costs money, and `output` still shows them.
        """
        _, attempt, _ = await self._rows(attempt_id)
        if attempt.state is not AttemptState.ENDED:
            return
        found = Unpacked()
        for each, name in LOGS.items():
            await self._keep_log(attempt, each, name, found)
        if attempt.started_at is not None:
            found.notes.append("The files of the output paths could not be collected.")
        await self._write(attempt_id, found, [])

    async def _keep_log(self, attempt: JobAttempt, log: Stream, name: str, found: Unpacked) -> None:
        async with self._database.begin() as session:
            begins, data = await tail(session, attempt, log, MOST_OUTPUT)
        if begins:
            found.notes.append(f"{name} begins at byte {begins}: the rest was on the machine only.")
        key = f"{_prefix(attempt)}/seen-{log.value}"
        try:
            await self._store.put(key, data)
        except StoreError:
            found.notes.append(f"{name} could not be stored; what was last printed is among the output.")
        else:
            found.kept.append(Kept.of(name, key, data))

    @activity.defn
    async def expire_jobs(self) -> int:
        """Let go of artifacts and output whose time is over. Returns how many jobs' were.

        Of what jobs printed that are over for a while, the last megabyte stays in the database; the logs have the rest.
        """
        async with self._database.begin() as session:
            await trim(session, older_than=TRIMMED_AFTER)
        async with self._database.begin() as session:
            due = Job.expires_at < func.clock_timestamp(), Job.expired_at.is_(None)
            at_random = (
                select(Job.id).where(*due).order_by(func.random())
            )  # those that fail keep no other from its turn
            ids = (await session.scalars(at_random.limit(100))).all()
        with each_alone() as alone:
            for job_id in ids:
                with alone, _store_errors():
                    await self._store.delete_under(f"jobs/{job_id}")
                    async with self._database.begin() as session:
                        await _forget(session, job_id)
        return len(ids)

    async def _rows(self, attempt_id: str) -> tuple[Job, JobAttempt, Lease | None]:
        """The lease only while its machine is held."""
        async with self._database.begin() as session:
            attempt = await session.get_one(JobAttempt, attempt_id)
            job = await session.get_one(Job, attempt.job_id)
            instance = await session.get_one(Instance, attempt.instance_id)
            lease = None if instance.lease_id is None else await session.get_one(Lease, instance.lease_id)
        held = lease is not None and lease.state is LeaseState.RUNNING and lease.wanted
        return job, attempt, lease if held else None

    async def _write(self, attempt_id: str, found: Unpacked, said: list[str]) -> None:
        """In one transaction: these are the job's artifacts, and its attempt has nothing left to give."""
        async with self._database.begin() as session:
            attempt = await session.get_one(JobAttempt, attempt_id)
            job = await session.get_one(Job, attempt.job_id, with_for_update=True)
            attempt = await session.get_one(JobAttempt, attempt_id, with_for_update=True, populate_existing=True)
            if attempt.state is not AttemptState.ENDED:
                return
            attempt.state = AttemptState.COLLECTED
            await session.execute(delete(JobArtifact).where(JobArtifact.job_id == job.id))
            session.add_all(JobArtifact(job_id=job.id, **each.model_dump()) for each in found.kept)
            job.notes = [*job.notes, *found.notes, *_long(found), *said][:MOST_NOTES]
            job.message = "Its output is stored; its machine is being released."
            await say(session, job, "collected", f"{len(found.kept)} file(s) are stored.")


def _prefix(attempt: JobAttempt) -> str:
    """Each try of an activity writes beside the one before, which may not be quite dead yet."""
    return f"jobs/{attempt.job_id}/{attempt.number}/{activity.info().attempt}"


def _said(stderr: str) -> list[str]:
    """What the runner took no account of: a line for each path."""
    words = {"missing: ": "Not there: {}.", "refused: ": "Not collected: {} leads out of the workspace."}
    lines = [(line, start) for line in stderr.splitlines() for start in words if line.startswith(start)]
    return [words[start].format(line.removeprefix(start)[:500]) for line, start in lines]


def _long(found: Unpacked) -> list[str]:
    return [
        f"{each.path} ends at {each.size} bytes: what was printed after that is not kept."
        for each in found.kept
        if each.path in LOGS.values() and each.size >= MOST_OUTPUT
    ]


async def _forget(session: AsyncSession, job_id: str) -> None:
    job = await session.get_one(Job, job_id, with_for_update=True)
    attempts = select(JobAttempt.id).where(JobAttempt.job_id == job_id)
    await session.execute(delete(JobArtifact).where(JobArtifact.job_id == job_id))
    await session.execute(delete(JobOutput).where(JobOutput.attempt_id.in_(attempts)))
    job.expired_at = func.clock_timestamp()


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except (StoreError, OSError) as error:
        raise NotYet(f"the artifact store does not take it ({type(error).__name__})", PAUSE) from error
    except tarfile.TarError as error:
        raise NotYet(f"what the machine sent is no whole tar ({error})", PAUSE) from error
