"""What the control plane tells the agent: one JSON file, written when the agent is installed."""

from __future__ import annotations

import json
import os
from typing import NamedTuple

HOME = os.path.join(os.path.expanduser("~"), ".dumont")
"""Ours on every machine. Programs that are started from here do not count as the user's work."""

FOLDER = os.path.join(HOME, "agent")


class Settings(NamedTuple):
    """Times in seconds. `cloud_url` is where this machine may stop itself; empty: it never does."""

    base_url: str
    """Where to report; empty: the control plane fetches the reports over SSH."""
    token: str
    instance_id: int
    gpu_active: float
    """Percent from which a GPU counts as in use."""
    interval: float = 10.0
    cloud_url: str = ""
    dead_man: float = 7200.0
    """Without contact for so long, an idle machine is stopped."""
    dead_man_idle: float = 900.0
    """Idle means that nothing has happened here for so long."""
    dead_man_busy: float = 86400.0
    """Without contact for so long, it is stopped whatever it does."""


def read(folder: str = FOLDER) -> Settings:
    """The settings of this machine. Names that this version does not know are ignored."""
    with open(os.path.join(folder, "settings.json")) as file:
        known = {name: value for name, value in json.load(file).items() if name in Settings._fields}
    return Settings(**known)
