"""What the control plane tells the agent: one JSON file, written when the agent is installed."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

HOME = os.path.join(os.path.expanduser("~"), ".dumont")
"""Ours on every machine. Programs that are started from here do not count as the user's work."""

FOLDER = os.path.join(HOME, "agent")


class Platform(NamedTuple):
    """What the cloud puts into the environment of PID 1; an empty name: there is no such thing there."""

    id: str = ""
    """The variable with the machine's id."""
    key: str = ""
    """The variable with a key that may stop this machine."""
    address: str = ""
    """The variable with its public address."""
    ports: str = ""
    """The variable of a port, with `{kind}` and `{port}`; it has the port outside."""
    wishes_from: int = 0
    """From this number on, such a name is a wish for a port that is the same inside and outside."""
    stop_path: str = ""
    """Where it stops itself, with `{id}`, by a PUT of `stop_body`."""
    stop_body: dict[str, Any] = {}


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
    platform: Platform = Platform()


def read(folder: str = FOLDER) -> Settings:
    """The settings of this machine. Names that this version does not know are ignored."""
    with open(os.path.join(folder, "settings.json")) as file:
        given = json.load(file)
    platform = Platform(**_known(Platform, given.pop("platform", {})))
    return Settings(**_known(Settings, given), platform=platform)


def _known(kind: Any, given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in kind._fields}
