"""The finite sets: what an instance, a lease, a deployment and an endpoint can be."""

from enum import StrEnum


class InstanceStatus(StrEnum):
    PROVISIONING = "provisioning"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    RESUMING = "resuming"
    HIBERNATING = "hibernating"
    HIBERNATED = "hibernated"
    FAILING_OVER = "failing_over"
    DESTROYING = "destroying"
    DESTROYED = "destroyed"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        return self in (InstanceStatus.DESTROYED, InstanceStatus.FAILED)


class InstancePurpose(StrEnum):
    """Why the instance is there; decides which policies apply (idle windows never apply to models and jobs)."""

    INTERACTIVE = "interactive"
    MODEL = "model"
    JOB = "job"


class Desired(StrEnum):
    """What the owner wants of an instance. Written to its row first, so that a wish outlives every process."""

    RUNNING = "running"
    PAUSED = "paused"
    HIBERNATED = "hibernated"
    DESTROYED = "destroyed"


class Power(StrEnum):
    """What a lease's holder wants of its machine: to run, or to be stopped with its disk kept."""

    RUNNING = "running"
    STOPPED = "stopped"


class SshWake(StrEnum):
    """Whether a login over SSH wakes a sleeping instance."""

    AUTO = "auto"
    NEVER = "never"


class SnapshotStatus(StrEnum):
    CREATING = "creating"
    READY = "ready"
    FAILED = "failed"


class LeaseState(StrEnum):
    """`reserved → asked → rented → running → releasing → closed`; any state may go to `releasing`.

    A machine that keeps files also goes `running → stopping → stopped → starting → running`, as its holder wishes.
    """

    RESERVED = "reserved"
    ASKED = "asked"
    RENTED = "rented"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    STARTING = "starting"
    RELEASING = "releasing"
    CLOSED = "closed"

    @property
    def is_open(self) -> bool:
        return self is not LeaseState.CLOSED

    @property
    def is_held(self) -> bool:
        """Whether a machine is there that was handed over, running or not."""
        return self in _HELD

    @property
    def is_moving(self) -> bool:
        """Whether the machine behind it is expected to change soon, so that it is looked at often."""
        return self in _MOVING


_HELD = frozenset({LeaseState.RUNNING, LeaseState.STOPPING, LeaseState.STOPPED, LeaseState.STARTING})
_MOVING = (
    *(LeaseState.ASKED, LeaseState.RENTED, LeaseState.STOPPING, LeaseState.STARTING),
    LeaseState.RELEASING,
)


class LeaseOutcome(StrEnum):
    """How an attempt at a machine went; shown to the user with its reason for every offer tried."""

    PENDING = "pending"
    WORKING = "working"
    SERVED = "served"
    OFFER_GONE = "offer_gone"
    REFUSED = "refused"
    ANSWER_LOST = "answer_lost"
    BOOT_FAILED = "boot_failed"
    LOST = "lost"
    CANCELLED = "cancelled"


class DeploymentStatus(StrEnum):
    DEPLOYING = "deploying"
    READY = "ready"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_over(self) -> bool:
        return self in (DeploymentStatus.FAILED, DeploymentStatus.STOPPED)


class DeploymentStage(StrEnum):
    """The steps of a deploy, in order; also the keys of its `phase_timings_ms`."""

    PROVISIONING = "provisioning"
    STARTING_SERVER = "starting_server"
    LOADING_MODEL = "loading_model"
    PUBLISHING = "publishing"
    READY = "ready"

    @property
    def progress(self) -> int:
        """Percent done when the stage begins."""
        return {"provisioning": 5, "starting_server": 50, "loading_model": 60, "publishing": 95, "ready": 100}[self]


class EndpointState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    CLOSED = "closed"


class SshWay(StrEnum):
    """How a machine is reached: by its own port, or through the cloud's relay, which is slower (clouds.md B2.7)."""

    DIRECT = "direct"
    RELAY = "relay"

    @property
    def other(self) -> "SshWay":
        return SshWay.RELAY if self is SshWay.DIRECT else SshWay.DIRECT


class AccessType(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"


class ModelType(StrEnum):
    LLM = "llm"
    SPEECH = "speech"
    EMBEDDINGS = "embeddings"


class KeyStatus(StrEnum):
    VALID = "valid"
    REFUSED = "refused"
    UNCHECKED = "unchecked"
