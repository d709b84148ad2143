"""`dumont ssh-config`: the instances as OpenSSH and editors know hosts."""

import re

from cli.errors import Refused
from cli.instances.address import checked, settings
from cli.instances.find import every_instance
from cli.instances.schemas import InstanceView
from cli.where import Where, session_at

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
HEAD = """\
# Dumont Cloud. Keep it:  dumont ssh-config > ~/.ssh/dumont.conf
# and once, at the top of ~/.ssh/config:  Include dumont.conf
"""


def ssh_config(*, where: Where | None = None) -> None:
    """Print a Host entry for each instance, for ~/.ssh/config: `ssh dumont-12`, scp, rsync, git and editors use it."""
    with session_at(where) as session:
        print(config(every_instance(session)), end="")


def config(every: list[InstanceView]) -> str:
    """The text; an instance that is over or serves a model has no entry."""
    entries = [entry(each, every) for each in every if can_log_in(each)]
    return HEAD + "".join(entries)


def can_log_in(instance: InstanceView) -> bool:
    try:
        checked(instance.model_copy(update={"ssh_wake": "auto"}))
    except Refused:
        return False
    return True


def entry(instance: InstanceView, every: list[InstanceView]) -> str:
    lines = "".join(f"    {name} {value}\n" for name, value in settings(instance).items())
    return f"\nHost {' '.join(names(instance, every))}\n{lines}"


def names(instance: InstanceView, every: list[InstanceView]) -> list[str]:
    """`dumont-12`, and its label where that can be a host's name and no other living instance has it."""
    label = instance.label or ""
    same = [each for each in every if each.label == label and not each.status.is_over]
    return [f"dumont-{instance.id}", *([label] if PLAIN.fullmatch(label) and len(same) == 1 else [])]
