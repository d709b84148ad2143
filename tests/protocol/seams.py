"""Where the world ends: everything of ours that talks to the outside, and what answers in its place.

The activities themselves are the real ones. Only here is it known what they reach for.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

from activities.endpoints import model_server
from activities.jobs import artifacts
from activities.jobs import shell as job_shell
from activities.machines import agents, end_processes, probing, renting, shell, tools, watching, witness
from activities.snapshots import repositories, transfer_progress, transfers, vault
from clients.ssh_pool import SshPool
from clouds import connections, offers
from clouds.vast import IN_MACHINE
from db.endpoints import deployments
from db.jobs import jobs
from db.machines import leases
from db.usage import costs
from tests.protocol.books import Books
from tests.protocol.clock import Clock
from tests.protocol.shells import Shells
from tests.protocol.temporal.attempts import rest
from tests.protocol.vault import Vault

ON_MACHINES: dict[ModuleType, list[str]] = {
    probing: ["connect", "run", "host_key_of"],
    witness: ["connect"],
    agents: ["run"],
    shell: ["run"],
    tools: ["run"],
    job_shell: ["run_bytes"],
    artifacts: ["stream"],
    model_server: ["run", "http_get"],
    transfers: ["connect"],
}
READ_THE_CLOCK: dict[ModuleType, str] = {
    **dict.fromkeys([renting, watching, probing, artifacts, repositories, offers, costs], "datetime"),
    **dict.fromkeys([transfer_progress, transfers, vault], "time"),
}
NAMED = [leases, deployments, jobs]
"""Who makes ids: the same schedule has to make the same ones."""


def shells_on(books: Books, clock: Clock) -> Shells:
    return Shells(books, clock, end_processes.ending(IN_MACHINE.id))


@contextmanager
def outside(clock: Clock, shells: Shells, store: Vault, new_id: Any) -> Iterator[None]:
    waiting = SimpleNamespace(**{**vars(asyncio), "sleep": rest})
    with ExitStack() as patches:
        for module, names in ON_MACHINES.items():
            for name in names:
                patches.enter_context(patch.object(module, name, getattr(shells, name)))
        for module, name in READ_THE_CLOCK.items():
            patches.enter_context(patch.object(module, name, clock))
        for name in ("datetime", "time"):
            patches.enter_context(patch.object(job_shell, name, clock))
        patches.enter_context(patch.object(offers, "time", clock))
        for module in (connections, offers, job_shell):
            patches.enter_context(patch.object(module, "asyncio", waiting))
        patches.enter_context(patch.object(SshPool, "connection", shells.login))
        patches.enter_context(patch.object(SshPool, "lend", lambda *_: None))
        for module in NAMED:
            patches.enter_context(patch.object(module, "new_id", new_id))
        patches.enter_context(patch.object(repositories, "rclone", store))
        patches.enter_context(patch.object(repositories, "Restic", store.restic))
        patches.enter_context(patch.object(repositories.Repositories, "verify", _method(store.verify)))
        patches.enter_context(patch.object(transfers.Transfers, "_followed", _method(store.followed)))
        yield


def _method(function: Any) -> Any:
    async def method(self: Any, *arguments: Any, **named: Any) -> Any:
        return await function(self, *arguments, **named)

    return method
