"""A job's script on its machine: start it once, follow it, end it. Everything through the runner (job_runner.py)."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from asyncssh import SSHClientConnection
from pydantic import BaseModel
from temporalio import activity

from activities.errors import Fault, Final, NotYet, ssh_errors
from activities.jobs.following import say_end, write_output, write_start
from activities.jobs.runner import (
    GRACE_SECONDS,
    RunnerLimits,
    RunnerSays,
    folder_of,
    packed,
    parse,
    reading,
    starting,
    stopping,
)
from activities.machines.machines import MachineActivities
from clients.ssh import CommandTimedOut, SshTarget
from clients.ssh_streams import run_bytes
from clouds.provider import InMachine
from db.instances.tables import Instance
from db.jobs.jobs import env_of_job
from db.jobs.output import is_followed
from db.jobs.tables import Job, JobAttempt
from db.machines.tables import Lease
from db.sealing import Sealer
from db.session import Database
from domain.jobs.phases import AttemptEnd, AttemptState, Stream
from domain.jobs.spec import JobSpec
from domain.machines.phases import LeaseState
from failpoints import Failpoint, hit

SSH_DEADLINE = 15.0
START_DEADLINE = 60.0
PAUSE = 0.5
PIECE = 512 * 1024
"""Bytes of each stream in one answer."""
BACKLOG = 8 << 20
"""When more than that waits to be followed, the older part is skipped: it is in the log, and live output is live."""
SLICE_SECONDS = 600.0
YOUNG = timedelta(minutes=2)
WATCHED, UNWATCHED = (80, 0.1), (20, 0.4)
"""Looks in one question and seconds between them, on the machine itself."""
BETWEEN_WATCHED, BETWEEN_UNWATCHED = 0.1, 0.5
"""Seconds between two questions while output comes in."""


class StopOrder(BaseModel):
    attempt_id: str
    why: AttemptEnd


class On(NamedTuple):
    """An attempt and where it runs."""

    job: Job
    attempt: JobAttempt
    target: SshTarget
    platform: InMachine


class JobShellActivities:
    def __init__(self, database: Database, sealer: Sealer, machines: MachineActivities) -> None:
        self._database = database
        self._sealer = sealer
        self._machines = machines

    @activity.defn
    async def start_job(self, attempt_id: str) -> None:
        """Have the attempt's runner at work on its machine; one that is there already is left alone.

        Raises:
            Final: MACHINE_LOST, NOT_WANTED
        """
        on = await self._where(attempt_id)
        if not on.job.wanted:
            raise Final(Fault.NOT_WANTED, "no longer wanted")
        spec = JobSpec.model_validate(on.job.spec)
        limits = RunnerLimits(timeout=round(spec.timeout_minutes * 60), platform=on.platform.variables)
        files = packed(attempt_id, spec, env_of_job(self._sealer, on.job), limits)
        await hit(Failpoint.JOB_BEGUN)
        with ssh_errors(PAUSE):
            async with self._machines.ssh.connection(on.target, timeout=SSH_DEADLINE) as connection:
                command = starting(folder_of(attempt_id))
                code, _, stderr = await _run(connection, command, files, START_DEADLINE)
        await hit(Failpoint.JOB_STARTED)
        if code != 0:
            raise NotYet(f"the machine does not take the job: {stderr.strip()[-300:]}", 2.0)
        async with self._database.begin() as session:
            job = await session.get_one(Job, on.job.id, with_for_update=True)
            attempt = await session.get_one(JobAttempt, attempt_id, with_for_update=True)
            await write_start(session, job, attempt)

    @activity.defn
    async def follow_job(self, attempt_id: str) -> bool:
        """Keep what the attempt prints until it has ended, and write down how. False: not yet, after some minutes.

        A repeated attempt goes on from the last byte that was kept.

        Raises:
            Final: MACHINE_LOST
        """
        on = await self._where(attempt_id)
        until = time.monotonic() + SLICE_SECONDS
        with ssh_errors(PAUSE):
            async with self._machines.ssh.connection(on.target, timeout=SSH_DEADLINE) as connection:
                while time.monotonic() < until:
                    if await self._follow_once(connection, on):
                        await hit(Failpoint.JOB_ENDED)
                        return True
        return False

    async def _follow_once(self, connection: SSHClientConnection, on: On) -> bool:
        """One question and what came of it. True: the attempt has ended and all its output that we keep is kept."""
        async with self._database.begin() as session:
            attempt = await session.get_one(JobAttempt, on.attempt.id)
            watched = await is_followed(session, on.job.id)
        if attempt.state is not AttemptState.RUNNING:
            return True
        offsets = {Stream.STDOUT: attempt.stdout_bytes, Stream.STDERR: attempt.stderr_bytes}
        watched = watched or _is_young(attempt)
        said = await _ask(connection, on.attempt.id, offsets, watched)
        if (skipped := _skipped(offsets, said)) != offsets:
            said, offsets = await _ask(connection, on.attempt.id, skipped, watched), skipped
        if said.state == "absent":
            raise NotYet("the runner has not begun yet", PAUSE)
        await self._keep(on, offsets, said)
        if said.stdout or said.stderr:
            await hit(Failpoint.JOB_OUTPUT_KEPT)
            await asyncio.sleep(0 if _more(offsets, said) else BETWEEN_WATCHED if watched else BETWEEN_UNWATCHED)
        return said.state != "running" and not _more(offsets, said)

    async def _keep(self, on: On, offsets: dict[Stream, int], said: RunnerSays) -> None:
        over = said.state != "running" and not _more(offsets, said)
        if not (said.stdout or said.stderr or over):
            return
        async with self._database.begin() as session:
            job = await session.get_one(Job, on.job.id, with_for_update=True)
            attempt = await session.get_one(JobAttempt, on.attempt.id, with_for_update=True)
            await write_output(session, job, attempt.id, offsets, said)
            if over:
                end = said.end or AttemptEnd.VANISHED
                message = _VANISHED if end is AttemptEnd.VANISHED else ""
                await say_end(session, job, attempt, end, exit_code=said.exit_code, stage=said.stage, message=message)

    @activity.defn
    async def stop_job(self, order: StopOrder) -> None:
        """Have the runner end the job: SIGTERM, grace, SIGKILL of all that is its. Who follows it sees the end."""
        on = await self._where(order.attempt_id)
        with ssh_errors(PAUSE):
            async with self._machines.ssh.connection(on.target, timeout=SSH_DEADLINE) as connection:
                await _run(connection, stopping(folder_of(order.attempt_id), order.why), b"", SSH_DEADLINE)
        await hit(Failpoint.JOB_STOP_ASKED)

    @activity.defn
    async def end_unheard(self, order: StopOrder) -> None:
        """Its time is over and its machine does not answer: the attempt ends without a word from it."""
        async with self._database.begin() as session:
            attempt = await session.get_one(JobAttempt, order.attempt_id)
            job = await session.get_one(Job, attempt.job_id, with_for_update=True)
            attempt = await session.get_one(JobAttempt, order.attempt_id, with_for_update=True, populate_existing=True)
            await say_end(session, job, attempt, order.why, message=_UNHEARD)

    async def _where(self, attempt_id: str) -> On:
        """Final when its machine is not held any more."""
        async with self._database.begin() as session:
            attempt = await session.get_one(JobAttempt, attempt_id)
            job = await session.get_one(Job, attempt.job_id)
            instance = await session.get_one(Instance, attempt.instance_id)
            lease = None if instance.lease_id is None else await session.get_one(Lease, instance.lease_id)
        if lease is None or lease.state is not LeaseState.RUNNING or not lease.wanted:
            raise Final(Fault.MACHINE_LOST, "the machine was lost")
        cloud = await self._machines.cloud_of(lease)
        return On(job, attempt, self._machines.target(lease), cloud.in_machine)


_UNHEARD = "Its machine did not answer when it was to be ended."
_VANISHED = "The machine was restarted in the middle, and what ran the script is gone."


def stop_patience() -> float:
    """Seconds after which a job that was told to end has ended, if its machine answers at all."""
    return GRACE_SECONDS + 30.0


async def _ask(
    connection: SSHClientConnection, attempt_id: str, offsets: dict[Stream, int], watched: bool
) -> RunnerSays:
    looks, pause = WATCHED if watched else UNWATCHED
    command = reading(
        folder_of(attempt_id), offsets[Stream.STDOUT], offsets[Stream.STDERR], most=PIECE, looks=looks, pause=pause
    )
    code, answer, _ = await _run(connection, command, b"", looks * pause + SSH_DEADLINE)
    if code != 0:
        raise NotYet("the runner's folder cannot be read", PAUSE)
    try:
        return parse(answer)
    except ValueError as error:
        raise NotYet(f"the machine's answer makes no sense ({error})", PAUSE) from error


async def _run(connection: SSHClientConnection, command: str, input: bytes, timeout: float) -> tuple[int, bytes, str]:
    try:
        return await run_bytes(connection, command, input=input, timeout=timeout, most=4 * PIECE)
    except CommandTimedOut as error:
        raise NotYet("the machine is slow to answer", PAUSE) from error


def _is_young(attempt: JobAttempt) -> bool:
    """A job that has just begun may be a short one, whose end is worth a few looks more."""
    return attempt.started_at is not None and datetime.now(UTC) - attempt.started_at < YOUNG


def _more(offsets: dict[Stream, int], said: RunnerSays) -> bool:
    """Whether there is output that we have not got yet."""
    out = offsets[Stream.STDOUT] + len(said.stdout) < said.stdout_size
    return out or offsets[Stream.STDERR] + len(said.stderr) < said.stderr_size


def _skipped(offsets: dict[Stream, int], said: RunnerSays) -> dict[Stream, int]:
    """Where to go on when more has piled up than can be shown live."""
    sizes = {Stream.STDOUT: said.stdout_size, Stream.STDERR: said.stderr_size}
    return {
        stream: sizes[stream] - BACKLOG // 2 if sizes[stream] - offset > BACKLOG else offset
        for stream, offset in offsets.items()
    }
