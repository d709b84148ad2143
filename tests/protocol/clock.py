"""One clock for the database, the activities and the workflows, which moves only when a schedule says so.

A schedule of hours plays in a second, nothing depends on how fast this computer is, and the same schedule always meets
the same times. In the database two functions of ours come before PostgreSQL's own on the search path.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import psycopg

START = datetime(2026, 1, 1, tzinfo=UTC)
IN_THE_DATABASE = [
    "CREATE TABLE clock (at timestamptz NOT NULL)",
    "INSERT INTO clock VALUES ('2026-01-01T00:00:00Z')",
    "CREATE FUNCTION clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql AS 'SELECT at FROM clock'",
    "CREATE FUNCTION now() RETURNS timestamptz STABLE LANGUAGE sql AS 'SELECT at FROM clock'",
]


class Clock:
    """Stands for the class `datetime` and the module `time` where our code asks them what time it is."""

    min = datetime.min.replace(tzinfo=UTC)

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.at = START

    def now(self, zone: tzinfo) -> datetime:
        return self.at.astimezone(zone)

    def time(self) -> float:
        return self.at.timestamp()

    monotonic = time

    def after(self, seconds: float) -> datetime:
        return self.at + timedelta(seconds=seconds)

    def begin(self) -> None:
        self._set(START)

    def move_to(self, at: datetime) -> None:
        if at != self.at:
            self._set(at)

    def _set(self, at: datetime) -> None:
        self.at = at
        self._connection.execute("UPDATE clock SET at = %s", [at])
