"""Every history that a running system has written, and what must never be in one."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
from temporalio.client import Client, WorkflowHistory

from activities.keys import KEY_PURPOSE
from activities.machines import LEASE_KEY_PURPOSE
from db.deployments import ENDPOINT_KEY_PURPOSE
from db.sealing import Sealer
from tests.cli.installation import Installation


async def all_histories(temporal: Client) -> AsyncIterator[WorkflowHistory]:
    async for flow in temporal.list_workflows("WorkflowType != 'none'"):
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
        ("SELECT sealed_upstream_key FROM endpoints", ENDPOINT_KEY_PURPOSE),
        ("SELECT sealed_private_key FROM leases", LEASE_KEY_PURPOSE),
    ]
    with psycopg.connect(installation.read()["database"].replace("+psycopg", "")) as database:
        for query, purpose in sealed:
            for (value,) in database.execute(query):
                found |= {value, sealer.open(value, purpose)}
    return found
