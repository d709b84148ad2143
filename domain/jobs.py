"""Jobs: a script, a GPU and a deadline. What a job can be, and what comes next for it, as pure decisions over its rows.

A job has attempts, one machine each. An attempt runs the script at most once; another attempt follows only when the
machine was lost, never because the script failed.
"""

from enum import StrEnum

from pydantic import BaseModel, Field

from domain.instances import DEFAULT_DISK_GB, DEFAULT_IMAGE
from domain.phases import InstanceStatus, Power

DEFAULT_TIMEOUT_MINUTES = 60.0
DEFAULT_OUTPUT_PATH = "/workspace/output"
SPOT_RETRIES = 3
"""Unless the job says otherwise: a spot machine is taken away by design, so its job is meant to be tried again."""


class JobStatus(StrEnum):
    """`queued → provisioning → running → collecting → completed | failed | timeout | cancelled`.

    A job whose machine was lost, or whose offer somebody else took, goes back to `queued`.
    """

    QUEUED = "queued"
    PROVISIONING = "provisioning"
    RUNNING = "running"
    COLLECTING = "collecting"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        return self in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.TIMEOUT, JobStatus.CANCELLED)


class Waiting(StrEnum):
    """Why a queued job has no machine yet."""

    TURN = "turn"
    GPU_LIMIT = "gpu_limit"
    SPENDING_CAP = "spending_cap"
    NO_OFFERS = "no_offers"
    PROVIDER = "provider"

    @property
    def holds_up_others(self) -> bool:
        """Whether later jobs of the same user wait too: the limits go to who came first, another GPU may be free."""
        return self in (Waiting.TURN, Waiting.GPU_LIMIT, Waiting.SPENDING_CAP)


class AttemptState(StrEnum):
    """`provisioning → running → ended → collected → over`; from any to `over`."""

    PROVISIONING = "provisioning"
    RUNNING = "running"
    ENDED = "ended"
    COLLECTED = "collected"
    OVER = "over"


class AttemptEnd(StrEnum):
    """How an attempt ended. `vanished`: the machine is there, but what ran the script is not (it restarted)."""

    EXITED = "exited"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    VANISHED = "vanished"
    LOST = "lost"
    NO_MACHINE = "no_machine"

    @property
    def is_final(self) -> bool:
        """Whether the script came to its own end: its files are what the job was for, and no other attempt follows."""
        return self in (AttemptEnd.EXITED, AttemptEnd.TIMEOUT)


class Stage(StrEnum):
    """What an attempt was doing when it ended; `script` is the user's own."""

    SETUP = "setup"
    PACKAGES = "packages"
    SCRIPT = "script"


class Stream(StrEnum):
    STDOUT = "stdout"
    STDERR = "stderr"


class JobSpec(BaseModel):
    """What was asked for; kept with the job. `env` is sealed elsewhere (db/jobs.py)."""

    script: str
    setup_script: str = ""
    pip_packages: list[str] = []
    gpu_name: str | None = None
    offer_id: int | None = None
    num_gpus: int = 1
    max_price: float | None = None
    use_spot: bool = False
    image: str = DEFAULT_IMAGE
    disk_size: float = DEFAULT_DISK_GB
    timeout_minutes: float = Field(default=DEFAULT_TIMEOUT_MINUTES, ge=1)
    output_paths: list[str] = [DEFAULT_OUTPUT_PATH]
    max_retries: int = Field(default=0, ge=0)
    checkpoint_minutes: float | None = None
    """So often `/workspace` is saved while the script runs, for the next attempt to begin with."""


class Aside(BaseModel):
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
    power: Power = Power.RUNNING
    start_refused: bool = False
    aside: Aside | None = None
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
    GIVE_UP_MACHINE = "give_up_machine"
    COLLECT = "collect"
    SET_ASIDE = "set_aside"
    WAIT_ASIDE = "wait_aside"
    TAKE_UP = "take_up"
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
        return JobStep.COLLECT if attempt.aside is None else _with_files_on(attempt, attempt.aside, facts.wanted)
    if attempt.state is AttemptState.COLLECTED:
        return JobStep.CONCLUDE if attempt.is_released else JobStep.RELEASE
    return _before_its_end(facts, attempt)


def _before_its_end(facts: JobFacts, attempt: AttemptFacts) -> JobStep:
    gone = attempt.instance_status.is_over or not attempt.instance_wanted
    if attempt.state is AttemptState.RUNNING:
        return JobStep.FOLLOW if attempt.machine_up and not gone else JobStep.GIVE_UP_MACHINE
    if gone or not facts.wanted:
        return JobStep.GIVE_UP_MACHINE
    if not attempt.machine_up:
        return JobStep.WAIT_FOR_MACHINE
    return JobStep.START if attempt.restore is None else JobStep.RESTORE


def _with_files_on(attempt: AttemptFacts, aside: Aside, wanted: bool) -> JobStep:
    """Its files are on a machine that waits for them to be fetched: stopped, but for the tries."""
    gone = attempt.instance_status.is_over or not attempt.instance_wanted or not attempt.machine_held
    if gone or aside.is_over or not wanted:
        return JobStep.GIVE_UP_FILES
    if attempt.machine_up:
        return JobStep.COLLECT
    if not aside.is_due:
        return JobStep.WAIT_ASIDE if attempt.power is Power.STOPPED else JobStep.SET_ASIDE
    if attempt.power is Power.STOPPED:
        return JobStep.TAKE_UP
    return JobStep.SET_ASIDE if attempt.start_refused else JobStep.WAIT_FOR_MACHINE


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


def unix_lines(script: str) -> str:
    """As a machine reads it: no byte order mark, no Windows line ends, a line end at the end."""
    text = script.removeprefix("\ufeff").replace("\r\n", "\n")
    return text if text.endswith("\n") else f"{text}\n"
