import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Select, create_engine, make_url, select, text

from db.migrate import migrate
from db.session import Database
from db.tables import Alarm
from domain.instances.phases import InstanceStatus
from tests.postgres import Databases
from tests.protocol.clock import IN_THE_DATABASE, Clock
from tests.protocol.events import Event
from tests.protocol.play import Player
from tests.protocol.verdict import Figures, Verdict
from tests.protocol.world import World


class Stage:
    """Plays schedules one after the other, each in a world of its own."""

    def __init__(
        self, runner: asyncio.Runner, database: Database, clock: Clock, figures: Figures, folder: Path
    ) -> None:
        self._runner, self._database, self._clock, self._figures = runner, database, clock, figures
        self._folder = folder
        self.world: World
        """The last one played: what really happened in it."""

    def play(self, schedule: list[Event], *, cloud_pace: float = 0) -> Verdict:
        self.world = World(self._database, self._clock, cloud_pace, self._folder)
        try:
            found = self._runner.run(Player(self.world).play(schedule))
        finally:
            print(schedule, *self.world.temporal.story, sep="\n")  # pytest shows it when the test fails
        print(found)
        self._figures.count(found)
        return found

    @property
    def statuses_at_rest(self) -> list[InstanceStatus]:
        """Of the last world's instances, before all of them were destroyed at its end."""
        return self.world.statuses_at_rest

    def rows(self, query: Select[Any]) -> list[Any]:
        """One column of what the last world left in the database."""
        return self._runner.run(self._rows(query))

    async def _rows(self, query: Select[Any]) -> list[Any]:
        async with self._database.begin() as session:
            return list((await session.scalars(query)).all())

    def alarms(self) -> dict[str, bool]:
        """The kinds of alarms that were raised in the last world, and whether any of a kind is still open."""
        return self._runner.run(self._alarms())

    async def _alarms(self) -> dict[str, bool]:
        async with self._database.begin() as session:
            rows = (await session.scalars(select(Alarm))).all()
        return {kind: any(row.closed_at is None for row in rows if row.kind == kind) for kind in {r.kind for r in rows}}


COUNTED = pytest.StashKey[Figures]()


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Figures:
    """What was found in all the schedules of this run; printed when they are over."""
    return pytestconfig.stash.setdefault(COUNTED, Figures())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if (counted := config.stash.get(COUNTED, None)) is not None:
        terminalreporter.write_line(str(counted))


@pytest.fixture(scope="session")
def clocked_url(databases: Databases) -> str:
    """A database whose clock is ours."""
    url = databases.copy_of("clocked", _with_our_clock)
    _ours_before_postgresqls(url)  # a copy does not have it
    return url


def _with_our_clock(url: str) -> None:
    _ours_before_postgresqls(url)
    with create_engine(url).begin() as connection:
        for statement in IN_THE_DATABASE:
            connection.execute(text(statement))
    migrate(url)


def _ours_before_postgresqls(url: str) -> None:
    """Where a function's name is looked up first."""
    with create_engine(url).begin() as connection:
        connection.execute(text(f"ALTER DATABASE {make_url(url).database} SET search_path = public, pg_catalog"))


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="session")
def database(runner: asyncio.Runner, clocked_url: str) -> Iterator[Database]:
    """One for all worlds: an engine that has seen our statements before needs a sixth less time for a schedule."""
    database = Database(clocked_url, pool_size=5)
    yield database
    runner.run(database.close())


@pytest.fixture(scope="session")
def clock(clocked_url: str) -> Iterator[Clock]:
    with psycopg.connect(clocked_url.replace("+psycopg", ""), autocommit=True) as connection:
        yield Clock(connection)


@pytest.fixture
def stage(runner: asyncio.Runner, database: Database, clock: Clock, figures: Figures, tmp_path: Path) -> Stage:
    return Stage(runner, database, clock, figures, tmp_path)
