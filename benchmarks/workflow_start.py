"""What starting a workflow costs here: the call alone, and a whole one-activity workflow, one after the other."""

import asyncio
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from benchmarks.bare import bare_worker, start_bare
from benchmarks.figures import Figure
from benchmarks.system import running
from settings import Settings
from workflow_client.client import connect

RUNS = 100


def measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data") as addresses:
        calls, wholes = asyncio.run(_many(addresses))
    return [
        Figure("workflow start call", calls, 20),
        Figure("one-activity workflow, start → result", wholes),
    ]


async def _many(addresses: dict[str, Any]) -> tuple[list[float], list[float]]:
    temporal = await connect(Settings(temporal_address=addresses["temporal"]))
    calls, wholes = [], []
    async with bare_worker(temporal):
        for _ in range(RUNS):
            began = time.monotonic()
            handle = await start_bare(temporal, str(uuid.uuid4()))
            calls.append(1000 * (time.monotonic() - began))
            await handle.result()
            wholes.append(1000 * (time.monotonic() - began))
    return calls, wholes
