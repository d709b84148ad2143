"""What comes next for a job, as pure decisions over its rows.

A job has attempts, one machine each. An attempt runs the script at most once; another attempt follows only when the
machine was lost, never because the script failed.
"""

from enum import StrEnum

from pydantic import BaseModel

from domain.instances.phases import InstanceStatus
from domain.jobs.phases import AttemptEnd, AttemptState, JobStatus, Stage


class Parked(BaseModel):
    """A machine whose files could not be fetched waits stopped. `seconds`: until the next try, or the end of that."""

    is_due: bool = False
    is_over: bool = False
    seconds: float = 0.0


class AttemptFacts(BaseModel):
    """The present or last attempt. `machine_up`: its instance runs on a machine that is held.

    `restore`: the snapshot that shall be in its `/workspace` before the script starts.
    """

    id: str
    number: int
    state: AttemptState
    end: AttemptEnd | None = None
    instance_id: int
    instance_status: InstanceStatus
    instance_wanted: bool = True
    instance_ran: bool = False
    machine_up: bool = False
    is_released: bool = False
    lease_id: str | None = None
    machine_held: bool = False
    is_parked: bool = False
    """Its instance shall have its machine stopped, for its files wait on the disk."""
    start_refused: bool = False
    parked: Parked | None = None
    restore: str | None = None


class JobFacts(BaseModel):
    """Everything that the next step of a job depends on."""

    status: JobStatus
    wanted: bool
    attempt: AttemptFacts | None = None
    summary: str = ""
    has_checkpoints: bool = False


class JobStep(StrEnum):
    ADMIT = "admit"
    WAIT_FOR_MACHINE = "wait_for_machine"
    RESTORE = "restore"
    START = "start"
    FOLLOW = "follow"
    END_ATTEMPT = "end_attempt"
    COLLECT = "collect"
    PARK = "parked"
    WAIT_PARKED = "wait_parked"
    UNPARK = "unpark"
    GIVE_UP_FILES = "give_up_files"
    RELEASE = "release"
    CONCLUDE = "conclude"
    NOTHING = "nothing"


def next_job_step(facts: JobFacts) -> JobStep:
    if facts.status.is_over:
        return JobStep.NOTHING
    attempt = facts.attempt
    if attempt is None or attempt.state is AttemptState.OVER:
        return JobStep.ADMIT if facts.wanted else JobStep.CONCLUDE
    if attempt.state is AttemptState.ENDED:
        return JobStep.COLLECT if attempt.parked is None else _with_files_on(attempt, attempt.parked, facts.wanted)
    if attempt.state is AttemptState.COLLECTED:
        return JobStep.CONCLUDE if attempt.is_released else JobStep.RELEASE
    return _before_its_end(facts, attempt)


def _before_its_end(facts: JobFacts, attempt: AttemptFacts) -> JobStep:
    gone = attempt.instance_status.is_over or not attempt.instance_wanted
    if attempt.state is AttemptState.RUNNING:
        return JobStep.FOLLOW if attempt.machine_up and not gone else JobStep.END_ATTEMPT
    if gone or not facts.wanted:
        return JobStep.END_ATTEMPT
    if not attempt.machine_up:
        return JobStep.WAIT_FOR_MACHINE
    return JobStep.START if attempt.restore is None else JobStep.RESTORE


def _with_files_on(attempt: AttemptFacts, parked: Parked, wanted: bool) -> JobStep:
    """Its files are on a machine that waits for them to be fetched: stopped, but for the tries."""
    gone = attempt.instance_status.is_over or not attempt.instance_wanted or not attempt.machine_held
    if gone or parked.is_over or not wanted:
        return JobStep.GIVE_UP_FILES
    if attempt.machine_up:
        return JobStep.COLLECT
    if not parked.is_due:
        return JobStep.WAIT_PARKED if attempt.is_parked else JobStep.PARK
    if attempt.is_parked:
        return JobStep.UNPARK
    return JobStep.PARK if attempt.start_refused else JobStep.WAIT_FOR_MACHINE


def waits_for_files(facts: JobFacts) -> bool:
    """Whether a machine whose files cannot be fetched is kept for them: not when another attempt makes them anew."""
    end = None if facts.attempt is None else facts.attempt.end
    return facts.wanted and end is not None and end.is_final


def end_without_a_word(facts: JobFacts) -> AttemptEnd:
    """How an attempt ended whose machine is given up: nobody on it can say."""
    attempt = facts.attempt
    if not facts.wanted or attempt is None:
        return AttemptEnd.CANCELLED
    if not attempt.instance_wanted and not attempt.instance_status.is_over:
        return AttemptEnd.CANCELLED  # its owner destroyed the machine under it
    return AttemptEnd.LOST if attempt.instance_ran else AttemptEnd.NO_MACHINE


class Outlook(BaseModel):
    """What comes after an attempt: `status` is `queued` when the job is tried again."""

    status: JobStatus
    reason: str = ""


def after_attempt(
    end: AttemptEnd | None,
    exit_code: int | None,
    stage: Stage,
    *,
    wanted: bool,
    retries_left: int,
    boots_left: int,
    message: str = "",
) -> Outlook:
    """
    `retries_left`: of `max_retries`. `boots_left`: machines that may still fail to come up; an offer that was simply
    gone costs none. `message`: what is known of the machine's end.
    """
    if end is AttemptEnd.EXITED:
        return _of_exit(exit_code, stage)
    if end is AttemptEnd.TIMEOUT:
        return Outlook(status=JobStatus.TIMEOUT, reason=message or "It ran longer than timeout_minutes and was ended.")
    if end in (AttemptEnd.CANCELLED, None) or not wanted:
        return Outlook(status=JobStatus.CANCELLED, reason=message or "Cancelled by its owner.")
    if end is AttemptEnd.NO_MACHINE:
        return Outlook(status=JobStatus.QUEUED if boots_left > 0 else JobStatus.FAILED, reason=message)
    if retries_left > 0:
        return Outlook(status=JobStatus.QUEUED, reason=f"{message} It is tried again on another machine.")
    return Outlook(status=JobStatus.FAILED, reason=f"{message} No retry was left (max_retries).")


def _of_exit(exit_code: int | None, stage: Stage) -> Outlook:
    if exit_code == 0:
        return Outlook(status=JobStatus.COMPLETED)
    what = {
        Stage.SETUP: "The setup_script ended",
        Stage.PACKAGES: "Installing pip_packages ended",
        Stage.SCRIPT: "The script ended",
    }[stage]
    return Outlook(status=JobStatus.FAILED, reason=f"{what} with exit code {exit_code}{_signal(exit_code)}.")


def _signal(exit_code: int | None) -> str:
    names = {130: "SIGINT", 134: "SIGABRT", 137: "SIGKILL; out of memory is the usual cause", 139: "SIGSEGV"}
    return f" ({names[exit_code]})" if exit_code in names else ""
