"""What tests of several packages need, once for all of them."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from db.migrate import migrate
from tests.groups import group_of, turn_of
from tests.postgres import Databases, shared_server

Migrated = Callable[[], str]


def pytest_configure() -> None:
    """A shell starts what runs in its background deaf to Ctrl-C, and programs that the tests start would be so too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `--dist loadgroup` a group's tests run in one process, which starts what they share only once."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item.path)))
    items.sort(key=lambda item: turn_of(item.path))


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder in all the processes of a test run."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def databases(run_folder: Path) -> Iterator[Databases]:
    """On TEST_DATABASE_URL's server where that is set."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield Databases(given, run_folder)
        return
    with shared_server(run_folder) as url:
        yield Databases(url, run_folder)


@pytest.fixture(scope="session")
def migrated(databases: Databases) -> Migrated:
    """Makes a database of the newest shape, and tells its address."""
    return lambda: databases.copy_of("migrated", migrate)
