"""Every history that a running system has written, and what must never be in one."""

import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
from temporalio.client import Client, WorkflowHistory

from activities.machines.machines import LEASE_KEY_PURPOSE
from clouds.keys import KEY_PURPOSE
from db.endpoints.endpoints import UPSTREAM_KEY_PURPOSE
from db.instances.ssh_identity import PURPOSE as HOST_KEY_PURPOSE
from db.machines.lease_tokens import AGENT, VAULT, lease_token
from db.sealing import Sealer
from db.snapshots.repositories import PASSWORD_PURPOSE as REPOSITORY_PURPOSE
from tests.cli.installation import Installation

SWEEPS = ("reap", "reconcile")
SWEEPS_READ = 20
"""They run every second here and are all alike."""


async def all_histories(temporal: Client) -> AsyncIterator[WorkflowHistory]:
    sweeps: Counter[str] = Counter()
    async for flow in temporal.list_workflows("WorkflowType != 'none'"):
        kind = flow.id.partition("-")[0]
        sweeps[kind] += 1
        if kind in SWEEPS and sweeps[kind] > SWEEPS_READ:
            continue
        handle: Any = temporal.get_workflow_handle(flow.id, run_id=flow.run_id)
        yield await handle.fetch_history()


def text_of(history: WorkflowHistory) -> str:
    """A history as one text, with every payload decoded."""
    document = json.loads(history.to_json())
    return "\n".join([json.dumps(document), *_payloads(document)])


def _payloads(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("data"), str):
            yield base64.b64decode(value["data"]).decode(errors="replace")
        for each in value.values():
            yield from _payloads(each)
    elif isinstance(value, list):
        for each in value:
            yield from _payloads(each)


def secrets_of(installation: Installation) -> set[str]:
    """Everything secret that this installation knows, opened."""
    kept = json.loads((installation.folder / "secrets.json").read_text())
    sealer = Sealer(kept["secret_keys"])
    found = {*kept["secret_keys"].split(","), kept["postgres_password"], "PRIVATE KEY"}
    sealed = [
        ("SELECT sealed FROM provider_keys", KEY_PURPOSE),
        ("SELECT sealed_upstream_key FROM endpoints", UPSTREAM_KEY_PURPOSE),
        ("SELECT sealed_private_key FROM leases", LEASE_KEY_PURPOSE),
        ("SELECT sealed_ssh_host_key FROM instances WHERE sealed_ssh_host_key IS NOT NULL", HOST_KEY_PURPOSE),
        ("SELECT sealed_password FROM vault_repositories", REPOSITORY_PURPOSE),
    ]
    with psycopg.connect(installation.read()["database"].replace("+psycopg", "")) as database:
        for query, purpose in sealed:
            for (value,) in database.execute(query):
                found |= {value, sealer.open(value, purpose)}
        for (lease_id,) in database.execute("SELECT id FROM leases"):
            found |= {lease_token(sealer, lease_id, purpose) for purpose in (AGENT, VAULT)}
    return found
