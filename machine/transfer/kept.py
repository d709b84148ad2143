"""What is left out of snapshots, and left alone by restores: caches, and what belongs to the machine.

The same rules are given to restic as options and used by our own walk, so that both see the same files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from machine.transfer.places import STAGE

OF_THE_MACHINE = (
    "/root/.ssh/authorized_keys",  # another machine lets other keys in: with ours gone we would be locked out
    "/root/.dumont",
    "/root/.no_auto_tmux",
    "/root/onstart.sh",
    "/root/hasbooted",
    "/root/.launch",
    "/root/.vast_api_key",
    "/root/.vast_containerlabel",
)
CACHES = ("/root/.cache",)
NAMES = ("__pycache__", STAGE)
CACHE_TAG = "CACHEDIR.TAG"
SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"


class Kept:
    """The rules for a set of paths. A cache in which one of the paths lies was asked for, so it is no cache then."""

    def __init__(self, paths: list[str]) -> None:
        caches = [each for each in CACHES if not any(f"{path}/".startswith(f"{each}/") for path in paths)]
        self.paths = frozenset((*OF_THE_MACHINE, *caches))

    def options(self) -> list[str]:
        """For restic."""
        patterns = [*sorted(self.paths), *NAMES]
        return ["--exclude-caches", "--one-file-system", *(f"--exclude={each}" for each in patterns)]

    def __contains__(self, path: str) -> bool:
        return path in self.paths or os.path.basename(path) in NAMES


def is_cache(folder: str) -> bool:
    """Whether its owner marked it as one (https://bford.info/cachedir/)."""
    try:
        with open(os.path.join(folder, CACHE_TAG), "rb") as tag:
            return tag.read(len(SIGNATURE)) == SIGNATURE
    except OSError:
        return False


def walk(path: str, kept: Kept) -> Iterator[tuple[str, os.stat_result]]:
    """The path and all below it that a snapshot holds, on its own file system; what vanishes meanwhile is left out.

    A folder comes before what is in it.
    """
    top = os.lstat(path)
    waiting = [(path, top)]
    while waiting:
        here, seen = waiting.pop()
        yield here, seen
        if not stat.S_ISDIR(seen.st_mode) or seen.st_dev != top.st_dev:
            continue
        cache = is_cache(here)
        for name in _names(here):
            below = os.path.join(here, name)
            if below in kept or (cache and name != CACHE_TAG):
                continue
            try:
                found = os.lstat(below)
            except FileNotFoundError:
                continue
            if found.st_dev == top.st_dev or stat.S_ISDIR(found.st_mode):
                waiting.append((below, found))


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
