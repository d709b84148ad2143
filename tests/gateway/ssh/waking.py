"""What a workflow does when an owner wants a sleeping instance to run, in as few words."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from domain.instances.phases import Desired
from tests.gateway.asking import becomes
from tests.gateway.ssh.place import Place, Rented


@asynccontextmanager
async def wakes_on_request(place: Place, machine: Rented) -> AsyncIterator[None]:
    """Bring the instance up on this machine as soon as it is wanted."""
    task = asyncio.create_task(_serve(place, machine))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _requested(place: Place) -> bool:
    return (await place.read()).desired is Desired.RUNNING


async def _serve(place: Place, machine: Rented) -> None:
    await becomes(lambda: _requested(place), True)
    await place.move_to(machine, message="")
