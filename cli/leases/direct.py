"""For what only an installation's operator may do: straight to its database, with its own settings."""

from pathlib import Path

from dotenv import dotenv_values

from cli.places import data_dir as place
from db.machines.tables import Orphan
from domain.machines.reaping import Finding
from settings import Settings


def settings_of(data_dir: Path | None) -> Settings:
    """Those that `dumont up` runs with in this folder, else the environment's."""
    kept = {name: value for name, value in dotenv_values(place(data_dir) / "environment").items() if value is not None}
    prefix = "DUMONT_"
    return Settings(**{name.removeprefix(prefix).lower(): value for name, value in kept.items()})  # type: ignore[arg-type]


def told(orphan: Orphan) -> str:
    """What the reaper has in mind for a machine, in a line."""
    if orphan.finding == Finding.RELEASE:
        what = "its lease is closed or has another machine; it is to be destroyed"
    elif orphan.stopped_at is None:
        what = "no lease is known; it is to be stopped, and destroyed a day later"
    else:
        what = f"no lease is known; stopped at {orphan.stopped_at:%Y-%m-%d %H:%M} UTC, to be destroyed a day after that"
    return f"machine {orphan.cloud_id}, label {orphan.label}: {what}"
