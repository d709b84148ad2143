"""The rooms around the activities that are not under test: starting and telling flows, and the market."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from clouds.offers import Market
from clouds.searches import CHEAPEST_FIRST
from db.accounts.tables import ProviderKey
from domain.holders import Holder
from domain.machines.machines import MachineSeen
from domain.market.offers import Offer, OfferQuery
from failpoints import Failpoint, hit
from tests.protocol.books import OFFERS
from workflow_client.client import WorkflowClient

if TYPE_CHECKING:
    from tests.protocol.world import World


class ModelFlows(WorkflowClient):
    """Starts and tells the flows of the model instead of Temporal's."""

    def __init__(self, world: "World") -> None:
        self._world = world

    async def start_machine(self, lease_id: str, summary: str, holder: Holder) -> None:
        self._world.start_machine(lease_id)
        await hit(Failpoint.MACHINE_STARTED)

    async def watch(self, account_id: int) -> None:
        self._world.watch(account_id)

    async def changed(self, workflow_id: str, because: str) -> None:
        self._world.signal(workflow_id)

    async def seen(self, lease_id: str, seen: MachineSeen) -> None:
        self._world.seen(lease_id, seen)


class ModelMarket(Market):
    """Every offer there is, the cheapest first, whether it is still free or not: what a cache may answer."""

    def __init__(self, hit: Callable[[str], Awaitable[None]]) -> None:
        self._reach = hit

    async def offers(self, key: ProviderKey, query: OfferQuery, order: str = CHEAPEST_FIRST) -> list[Offer]:
        await self._reach("market-answers")
        return [offer(number) for number in OFFERS]


def offer(number: int) -> Offer:
    return Offer(
        id=str(number),
        host_id=str(number),
        gpu_name="RTX 4090",
        num_gpus=1,
        gpu_ram=24,
        cpu_cores=8,
        cpu_ram=32,
        disk_space=100,
        inet_down=500,
        inet_up=500,
        dph_total=0.1 + number / 100,
        reliability=0.99,
        cuda_version=12.4,
        verified=True,
        static_ip=True,
    )
