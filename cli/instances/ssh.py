"""`dumont ssh`: the ordinary OpenSSH client, to an instance by its name."""

import os
import shutil
from typing import Annotated, NoReturn

from cyclopts import Parameter

from cli.errors import CommandRefused
from cli.instances.address import checked, options
from cli.instances.find import find
from cli.where import Where, session_at

Rest = Annotated[str, Parameter(allow_leading_hyphen=True)]


def ssh(name: str, /, *arguments: Rest, where: Where | None = None) -> None:
    """Log in to an instance, or run one command there. One that sleeps wakes; its host key is checked strictly.

    Parameters
    ----------
    name
        Id or label.
    arguments
        Options of ssh, then a command.
    """
    with session_at(where) as session:
        instance = checked(find(session, name))
    become(["ssh", *options(instance), str(instance.ssh_host), *arguments])


def become(words: list[str]) -> NoReturn:
    """Another program in our place, so that the terminal and its signals are its own."""
    program = shutil.which(words[0])
    if program is None:
        raise CommandRefused(
            f"`{words[0]}` is not installed here; `apt install openssh-client rsync` or the like brings it."
        )
    os.execv(program, words)  # noqa: S606 - the program named, without a shell
