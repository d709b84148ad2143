"""Which test files run in one process, one after the other, and what begins first.

What is expensive to start, a whole system above all, is started once for a group. Everything else is a group for each
file, for that spreads best.
"""

from pathlib import Path

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


def group_of(path: Path) -> str:
    """The group of a test file."""
    place = path.relative_to(_TESTS)
    for name, patterns in _GROUPS:
        if any(place.match(pattern) for pattern in patterns):
            return name
    return str(place)


def turn_of(path: Path) -> int:
    """When its group begins, compared with the others."""
    names = [name for name, _ in _GROUPS]
    group = group_of(path)
    return names.index(group) if group in names else len(names)
