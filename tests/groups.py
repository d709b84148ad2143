"""Which tests run in one process, one after the other, and what begins first.

What is expensive to start, a whole system above all, is started once for a group. Everything else is a group for each
file; where nothing is shared and each test computes all the time, each stands for itself.
"""

from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

_TESTS = Path(__file__).parent

# Those that take longest begin first, so that none is left running alone at the end. Those of the agent mostly wait:
# they begin before the protocol's, which compute meanwhile.
_GROUPS: list[tuple[str, tuple[str, ...]]] = [
    ("system, sleep", ("system/test_sleep*", "system/test_snapshots*", "system/test_agent*")),
    ("system, jobs", ("system/test_job*",)),
    ("system", ("system/*",)),
    ("cli", ("cli/test_commands*", "cli/test_instances*", "cli/test_jobs*")),
    ("vault", ("vault/*",)),
    ("api", ("api/*",)),
    ("ssh", ("gateway/ssh/*",)),
    ("agent, work", ("agent/test_work*",)),
    ("agent, life", ("agent/test_life*",)),
    ("agent, dead man", ("agent/test_dead_man*",)),
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
    """When its group begins, compared with the others. Short files come last: they fill the gaps."""
    names = [name for name, _ in _GROUPS]
    if (group := group_of(path)) is None:
        return len(names)
    return names.index(group) if group in names else len(names) + 1
