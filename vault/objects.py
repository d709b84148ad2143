"""What a request means, and what may be asked: restic's REST protocol as rules, and nothing else.

https://restic.readthedocs.io/en/stable/REST_backend.html
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Right(StrEnum):
    NONE = "none"
    READ = "read"
    """A repository that this machine was told to restore from."""
    APPEND = "append"
    """Its own."""


class Kind(StrEnum):
    CONFIG = "config"
    KEYS = "keys"
    LOCKS = "locks"
    SNAPSHOTS = "snapshots"
    INDEX = "index"
    DATA = "data"


WRITTEN_BY_MACHINES = frozenset({Kind.LOCKS, Kind.SNAPSHOTS, Kind.INDEX, Kind.DATA})
"""The config and the keys are made by our own side."""


@dataclass(frozen=True)
class Object:
    """An object of a repository; without a name all of its kind (a listing)."""

    repository: int
    kind: Kind
    name: str | None


_PATH = re.compile(r"/([1-9][0-9]{0,9})/(?:(config)|(keys|locks|snapshots|index|data)/([0-9a-f]{64})?)\Z", re.ASCII)


def parse(path: str) -> Object | None:
    """The object that a path means; None: nothing that restic would ask a repository for."""
    found = _PATH.match(path)
    if found is None:
        return None
    repository, config, kind, name = found.groups()
    return Object(int(repository), Kind(config or kind), name or (config and "config") or None)


def may(right: Right, method: str, wanted: Object) -> bool:
    """Whether who has this right to the repository may do that: only ever read and add; take away nothing but locks."""
    if method in ("GET", "HEAD"):
        return right is not Right.NONE
    if right is not Right.APPEND or wanted.name is None:
        return False
    if method == "POST":
        return wanted.kind in WRITTEN_BY_MACHINES
    return method == "DELETE" and wanted.kind is Kind.LOCKS
