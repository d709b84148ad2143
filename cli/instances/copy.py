"""`dumont cp`: files to or from an instance, with the ordinary scp or rsync."""

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cli.errors import CommandRefused
from cli.flags import Flag
from cli.instances.address import checked, options, without_tokens
from cli.instances.find import find
from cli.instances.ssh import become
from cli.where import Where, session_at


def cp(
    source: str,
    target: str,
    /,
    *,
    identity: Annotated[Path | None, Parameter(name=("--identity", "-i"))] = None,
    rsync: Flag = False,
    where: Where | None = None,
) -> None:
    """Copy a file or a whole folder, to or from an instance.

    Parameters
    ----------
    source
        What to copy.
    target
        Where to; a folder that is there already gets the copy inside.
    identity
        The private key to log in with [default: those that ssh tries by itself].
    rsync
        With rsync, which sends only what differs; it has to be on both sides.
    """
    sides = [split(source), split(target)]
    names = [name for name, _ in sides if name is not None]
    if len(names) != 1:
        raise CommandRefused(
            "One side has to be NAME:PATH and the other a path here, such as `dumont cp data.csv work:/workspace/`. "
            "A path here with a colon in it begins with ./"
        )
    with session_at(where) as session:
        instance = checked(find(session, names[0]))
    paths = [path if name is None else f"{bracketed(str(instance.ssh_host))}:{path}" for name, path in sides]
    words = [*options(instance), *(["-i", without_tokens(identity.expanduser())] if identity else [])]
    become((rsync_words if rsync else scp_words)(words, paths))


def split(side: str) -> tuple[str | None, str]:
    """The instance's name and the path there; no name for a path here."""
    name, colon, path = side.partition(":")
    return (None, side) if not colon or "/" in name or not name else (name, path)


def bracketed(host: str) -> str:
    """An address of IPv6 is full of colons itself."""
    return f"[{host}]" if ":" in host else host


def scp_words(words: list[str], paths: list[str]) -> list[str]:
    return ["scp", "-r", *words, "--", *paths]


def rsync_words(words: list[str], paths: list[str]) -> list[str]:
    return ["rsync", "-a", "--partial", "-e", shlex.join(["ssh", *words]), "--", *paths]
