"""The finite sets of jobs and their attempts."""

from enum import StrEnum


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
