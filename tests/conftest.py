"""What tests of several packages need, once for all of them."""

import gc_settings

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from xdist.remote import Producer

from db.migrate import migrate
from tests.groups import Groups, group_of, turn_of
from tests.postgres import Databases, shared_server

Migrated = Callable[[], str]

# How long an example takes says how busy the computer is.
hypothesis.settings.register_profile("ours", deadline=None)
hypothesis.settings.load_profile("ours")


def pytest_configure() -> None:
    """A shell starts what runs in its background deaf to Ctrl-C, and programs that the tests start would be so too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    gc_settings.keep_what_is_loaded()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: turn_of(item.path))


@pytest.hookimpl(optionalhook=True)  # -p no:xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Groups:
    """With `-n` a group's tests run in one process, which starts what they share only once."""
    return Groups(config, log)


@pytest.fixture(scope="module", autouse=True)
def only_here(request: pytest.FixtureRequest, run_folder: Path) -> None:
    """A group in two processes costs everybody minutes and fails nothing, so nobody would notice."""
    if (group := group_of(request.path)) is None:
        return
    claim = run_folder / f"{group.replace('/', ' ')}.group"
    with contextlib.suppress(FileExistsError), claim.open("x") as file:
        file.write(str(os.getpid()))
    assert claim.read_text() == str(os.getpid()), f"{request.path} runs in another process than its group"


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
