"""`python -m db.migrate`: bring the database to the newest shape. Safe to run from several processes at once."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from db.installation_identity import settle
from db.simulator_moved import follow_simulator
from settings import Settings

_ONE_AT_A_TIME = 7_264_501
"""An advisory lock of our own choosing: the second process waits, then finds nothing to do."""


def migrate(database_url: str, home: str | None = None, *, moved: bool = False) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with create_engine(database_url).begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ONE_AT_A_TIME})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if home is not None and settle(connection, home, moved=moved):
            print(
                "This data folder is a copy: it is an installation of its own now, and leaves the original's machines."
            )


def main(settings: Settings) -> None:
    migrate(settings.database_url, settings.home, moved=settings.moved)
    if settings.simulated and settings.local:
        with create_engine(settings.database_url).begin() as connection:
            follow_simulator(connection, settings.vast_url)


if __name__ == "__main__":
    main(Settings())
