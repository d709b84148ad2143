"""The finite sets of instances: what one is, what it is for, what is wanted of it."""

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


class InstanceKind(StrEnum):
    """What the instance is for. What follows from that is in `domain/lifecycles.py`."""

    INTERACTIVE = "interactive"
    MODEL = "model"
    JOB = "job"


class Desired(StrEnum):
    """What the owner wants of an instance. Written to its row first, so that a wish outlives every process."""

    RUNNING = "running"
    PAUSED = "paused"
    HIBERNATED = "hibernated"
    DESTROYED = "destroyed"


class SshWake(StrEnum):
    """Whether a login over SSH wakes a sleeping instance."""

    AUTO = "auto"
    NEVER = "never"
