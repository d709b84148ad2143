"""The settings that our processes get; what the user set, in the environment or in `.env`, wins over ours."""

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from cli.up.postgres import database_url

# The simulator at `fast` boots machines in a second or so; we look as often and wait as long as fits that.
FAST = {
    "DUMONT_CLOUD_PACE": "0.02",
    "DUMONT_SWEEP_SECONDS": "2",
    "DUMONT_SETTLE_SECONDS": "3",
    "DUMONT_WATCH_SECONDS": "0.5",
    "DUMONT_AGENT_SECONDS": "2",
}

SIMULATED_WAY_OUT = "host.simulator"
"""How simulated machines call this computer; the simulator opens the ports that it is told (`--way-out`)."""

SSH_PORTS = 500


def given_by_user() -> dict[str, str]:
    """Our settings in the environment and in the `.env` of the current folder."""
    every = {**dotenv_values(Path.cwd() / ".env"), **os.environ}
    return {name: value for name, value in every.items() if name.startswith("DUMONT_") and value is not None}


def local_settings(
    folder: Path, ports: Mapping[str, int], secrets: Mapping[str, str], *, simulated: bool, speed: str
) -> dict[str, str]:
    """What a local installation needs, less the simulator's key, which exists only once the simulator runs."""
    ours = {
        "DUMONT_DATABASE_URL": database_url(ports["postgres"], secrets["postgres_password"]),
        "DUMONT_TEMPORAL_ADDRESS": f"127.0.0.1:{ports['temporal']}",
        "DUMONT_SECRET_KEYS": secrets["secret_keys"],
        "DUMONT_API_URL": f"http://127.0.0.1:{ports['api']}",
        "DUMONT_GATEWAY_URL": f"http://127.0.0.1:{ports['gateway']}",
        "DUMONT_GATEWAY_HOST": "127.0.0.1",
        "DUMONT_GATEWAY_PORT": str(ports["gateway"]),
        "DUMONT_SSH_HOST": "127.0.0.1",
        "DUMONT_SSH_PORT": str(ports["ssh"]),
        "DUMONT_SSH_PORTS": f"{ports['ssh-first']}-{ports['ssh-first'] + SSH_PORTS - 1}",
        "DUMONT_VAULT_PORT": str(ports["vault"]),
        "DUMONT_LOCAL": "true",
        "DUMONT_DATA_DIR": str(folder),
    }
    if simulated:
        ours |= {"DUMONT_SIMULATED": "true", "DUMONT_VAST_URL": f"http://127.0.0.1:{ports['simulator']}"}
        ours |= {
            "DUMONT_PUBLIC_URL": f"http://{SIMULATED_WAY_OUT}:{ports['api']}",
            "DUMONT_VAULT_URL": f"http://{SIMULATED_WAY_OUT}:{ports['vault']}",
            "DUMONT_MACHINE_CLOUD_URL": f"http://{SIMULATED_WAY_OUT}:{ports['simulator']}",
        }
        ours |= FAST if speed == "fast" else {}
    return ours
