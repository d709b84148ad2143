"""The options by which a command finds its installation."""

from dataclasses import dataclass
from pathlib import Path

from cyclopts import Group, Parameter

from cli.api import Api
from cli.login import connect


@Parameter(name="*", group=Group("Installation", sort_key=9))
@dataclass(frozen=True)
class Where:
    """Which installation, and as whom."""

    api: str | None = None
    """Address of the api [default: $DUMONT_API, or the installation that runs here]."""

    token: str | None = None
    """[default: $DUMONT_TOKEN, the kept login, or the demo login of the installation that runs here]."""

    data_dir: Path | None = None
    """The folder of the installation that runs here [default: $DUMONT_DATA_DIR or .dumont]."""


def session_at(where: Where | None) -> Api:
    """An open session there."""
    place = where or Where()
    return connect(place.api, place.token, place.data_dir)
