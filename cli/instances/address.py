"""How OpenSSH's programs reach an instance: its own port, and the one host key that is right there."""

from pathlib import Path

from cli.errors import Refused
from cli.instances.schemas import InstanceView
from cli.login import login_file
from cli.places import command
from cli.private_files import write_private
from domain.instances.phases import InstanceStatus

ASLEEP = (InstanceStatus.PAUSED, InstanceStatus.HIBERNATED)


def checked(instance: InstanceView) -> InstanceView:
    """The instance, where logging in makes sense.

    Raises:
        Refused: it is over, has no SSH address, or sleeps and is not to be woken by logging in.
    """
    if instance.status.is_over or instance.status is InstanceStatus.DESTROYING:
        raise Refused(f"Instance {instance.name} is {instance.status.value}: {instance.message or 'it is no more'}")
    if not (instance.ssh_host and instance.ssh_port and instance.ssh_host_key):
        raise Refused(f"Instance {instance.name} has no SSH address: it serves a model.")
    if instance.status in ASLEEP and instance.ssh_wake == "never":
        raise Refused(
            f"Instance {instance.name} is {instance.status.value}, and logging in does not wake it (ssh_wake never). "
            f"Wake it: {command()} wake {instance.id}"
        )
    return instance


def settings(instance: InstanceView) -> dict[str, str]:
    """The settings of ssh_config(5) for it. Strict checking against its key alone, so nothing is asked or learned."""
    return {
        "HostName": str(instance.ssh_host),
        "Port": str(instance.ssh_port),
        "User": "root",
        "UserKnownHostsFile": f'"{without_tokens(remember_host_key(instance))}"',
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
    }


def without_tokens(path: Path) -> str:
    """A path as ssh takes it where it would put its own tokens (`%h`) in."""
    return str(path).replace("%", "%%")


def options(instance: InstanceView) -> list[str]:
    """The same for a command line. The first word on a setting counts, so ours come before the person's own."""
    return [word for name, value in settings(instance).items() for word in ("-o", f"{name}={value}")]


def remember_host_key(instance: InstanceView) -> Path:
    """The known_hosts file of its address, written anew: the api's word, asked a moment ago, is what counts."""
    folder = login_file().parent / "known_hosts"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{instance.ssh_host}_{instance.ssh_port}"
    write_private(path, f"[{instance.ssh_host}]:{instance.ssh_port} {instance.ssh_host_key}\n")
    return path
