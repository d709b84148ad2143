"""The machine under a model server, as somebody with a shell on it: to break what the endpoint then has to mend."""

import asyncio
import json
from typing import Any

import asyncssh
import httpx
import psycopg

from activities.endpoints.serve_script import PID_FILE
from activities.machines.machines import LEASE_KEY_PURPOSE
from db.sealing import Sealer
from domain.machines.machines import MachineSeen, ssh_address
from domain.machines.phases import SshWay
from tests.system.running import Running, until

KILL = f"kill -9 -- -$(cut -d' ' -f1 {PID_FILE})"
STOP = f"kill -STOP -- -$(cut -d' ' -f1 {PID_FILE})"


async def shell(system: Running, deployment: dict[str, Any], command: str) -> str:
    """Run a command as root on the machine that serves the deployment now; what it prints."""
    address, key = await asyncio.to_thread(_machine_of, system, int(deployment["instance_id"]))
    async with asyncssh.connect(
        *address, username="root", client_keys=[asyncssh.import_private_key(key)], known_hosts=None, config=None
    ) as connection:
        return str((await connection.run(command)).stdout or "")


def _machine_of(system: Running, instance_id: int) -> tuple[tuple[str, int], str]:
    kept = json.loads((system.installation.folder / "secrets.json").read_text())
    query = """SELECT seen, ssh_way, sealed_private_key FROM leases JOIN instances ON lease_id = leases.id
               WHERE instances.id = %s"""
    with psycopg.connect(system.addresses["database"].replace("+psycopg", "")) as database:
        row = database.execute(query, [instance_id]).fetchone()
    assert row is not None
    address = ssh_address(MachineSeen.model_validate(row[0]), SshWay(row[1]))
    assert address is not None
    return address, Sealer(kept["secret_keys"]).open(row[2], LEASE_KEY_PURPOSE)


async def server_of(system: Running, deployment: dict[str, Any]) -> str:
    """Which process serves it now: its number and when it began."""
    return (await shell(system, deployment, f"cat {PID_FILE}")).strip()


async def answers(system: Running, deployment: dict[str, Any]) -> str:
    """A chat completion, or the code and state by which it was refused."""
    body = {"model": deployment["model_id"], "messages": [{"role": "user", "content": "Hello"}]}
    answer: httpx.Response = await system.api.post(f"{deployment['endpoint']}/v1/chat/completions", json=body)
    if answer.status_code == 200:
        return "served"
    assert answer.status_code in (502, 503), answer.text
    assert "Retry-After" in answer.headers
    return str(answer.json()["error"]["code"])


async def serves_again(system: Running, deployment: dict[str, Any], seconds: float = 40) -> list[str]:
    """Ask until it serves, from another process than before; what was answered meanwhile."""
    said: list[str] = []

    async def served() -> bool | None:
        said.append(await answers(system, deployment))
        return said[-1] == "served" or None

    await until(served, seconds, "the endpoint to serve again")
    return said


async def timeline(system: Running, deployment: dict[str, Any]) -> list[str]:
    """The kinds of the endpoint's own events, oldest first."""
    rows = (await system.api.get(f"/models/{deployment['id']}/events", params={"limit": 100})).json()["events"]
    return [row["kind"] for row in reversed(rows)]
