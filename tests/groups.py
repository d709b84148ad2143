"""Which tests run in one process, one after the other, and what begins first.

What is expensive to start, a whole system above all, is started once for a group. Everything else is a group for each
file, and where nothing is shared each test stands for itself: they fill the gaps.
"""

from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

_TESTS = Path(__file__).parent

# Those that take longest begin first, so that none is left running alone at the end.
_GROUPS: list[tuple[str, tuple[str, ...]]] = [
    ("system, sleep", ("system/test_sleep*", "system/test_snapshots*", "system/test_agent*")),
    ("system, jobs", ("system/test_job*",)),
    ("system", ("system/*",)),
    ("cli", ("cli/test_commands*", "cli/test_instances*", "cli/test_jobs*")),
    ("vault", ("vault/*",)),
    ("api", ("api/*",)),
    ("ssh", ("gateway/ssh/*",)),
]

_ALONE = "protocol/*"


def group_of(path: Path) -> str | None:
    """The group of a test file; None where each of its tests may run anywhere."""
    place = path.relative_to(_TESTS)
    if place.match(_ALONE):
        return None
    for name, patterns in _GROUPS:
        if any(place.match(pattern) for pattern in patterns):
            return name
    return str(place)


class Groups(LoadScopeScheduling):
    """Hands whole groups out. (xdist's own `loadgroup` marks node ids, and pytest 9.2 does not heed the mark.)"""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(_TESTS.parent / nodeid.split("::")[0]) or nodeid


def turn_of(path: Path) -> int:
    """When its group begins, compared with the others. Single tests come last."""
    names = [name for name, _ in _GROUPS]
    if (group := group_of(path)) is None:
        return len(names) + 1
    return names.index(group) if group in names else len(names)
