"""What the SSH gateway writes to people, always on stderr."""

from domain.instances.phases import InstanceStatus
from gateway.ssh.instances import SshInstance

_ROUGHLY = {
    InstanceStatus.PAUSED: "usually within a minute",
    InstanceStatus.HIBERNATING: "usually a few minutes, on another machine",
    InstanceStatus.HIBERNATED: "usually a few minutes, on another machine",
}


def stderr_line(text: str) -> bytes:
    """One line, readable on a terminal in raw mode and in a log."""
    return f"dumont: {text}\r\n".encode()


def waking(instance: SshInstance) -> str:
    """For the person who wakes it: what that costs, and how long it takes."""
    if instance.status is InstanceStatus.PAUSING:
        return f"{instance.name} is being paused; keeping it awake."
    price = "" if instance.price is None else f", {instance.price:.2f} USD/h at its last price"
    return f"{instance.name} is {instance.status.value}; waking it ({_estimate(instance)}{price})."


def stage(instance: SshInstance) -> str:
    """While it comes up: what is happening now."""
    return f"{instance.name} is {instance.status.value}" + (f": {instance.message}" if instance.message else "")


def asleep(instance: SshInstance, why: str) -> str:
    """When this login does not wake it."""
    return f"{instance.name} is {instance.status.value}, and {why}. Wake it with: dumont wake {instance.id}"


def ended(instance: SshInstance | None, instance_id: int) -> str:
    """For people whose connection to the machine ended."""
    if instance is None:
        return f"instance {instance_id} is no more."
    if instance.status in (InstanceStatus.RUNNING, InstanceStatus.STARTING, InstanceStatus.RESUMING):
        return f"the connection to the machine of {instance.name} was lost. Connect again: the address stays the same."
    why = f": {instance.message}" if instance.message else ""
    return f"{instance.name} is {instance.status.value} now{why}. Connect again to use it: the address stays the same."


def _estimate(instance: SshInstance) -> str:
    if instance.wake_seconds is not None:
        return f"it took {instance.wake_seconds:.0f} s the last time"
    return _ROUGHLY.get(instance.status, "usually within a minute")
