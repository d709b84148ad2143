"""Vast.ai behind the seam: its verbs, its errors, its published limits (clouds.md A)."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from clients.vast import PAGE, VastClient
from clients.vast_errors import (
    VastKeyRefused,
    VastNotFound,
    VastNotSent,
    VastRefused,
    VastThrottled,
    VastUnavailable,
    is_offer_gone,
)
from clouds.errors import CapacityGone, KeyRefused, MachineNotFound, NotSent, Refused, Throttled, Unavailable
from clouds.provider import Capabilities, CloudAccount, InMachine, Listing, Machine, MachineRequest, Turn, Verb
from clouds.rate_limits import ApiQuota
from clouds.vast_machines import rent_request, to_listing, to_machine
from clouds.vast_offers import KINDS, to_offers, wire_filters, wire_order
from domain.machines.labels import Label
from domain.market.offers import Offer, OfferQuery

NAME = "vast"
TITLE = "Vast.ai"
GPU_TAKEN = "resources_unavailable"

CAPABILITIES = Capabilities(stops=True, relay=True, gpus=True, bids=True, listing_rows=PAGE, offers_shown=64)

IN_MACHINE = InMachine(
    id="CONTAINER_ID",
    variables=("CONTAINER_ID", "GPU_COUNT", "PUBLIC_IPADDR", "VAST_*", "DATA_DIRECTORY"),
    address="PUBLIC_IPADDR",
    ports="VAST_{kind}_PORT_{port}",
    identity_ports_from=70000,
    key="CONTAINER_API_KEY",
    stop_path="/api/v0/instances/{id}/",
    stop_body={"state": "stopped"},
)


def _quota(name: str, published: float, burst: int = 1) -> ApiQuota:
    """A tenth more than the published seconds: requests do not arrive as evenly as they leave, and one that comes too
    early is not only refused, it starts a penalty (12 s for a rent)."""
    return ApiQuota(name, published * 1.1, burst, penalty=published * 3.3)


_MANAGE = _quota("manage", 1.0)
QUOTAS = {
    Verb.ACCOUNT: _quota("user", 1.0, burst=3),
    # a budget of ten in any minute: four at once and one every 10.5 s never exceed it
    Verb.OFFERS: ApiQuota("search", 10.5, burst=4, penalty=31.5),
    Verb.CREATE: _quota("rent", 4.5),
    Verb.LIST: _quota("list", 1.0),
    Verb.GET: _quota("show", 2.0),
    Verb.DELETE: _quota("destroy", 3.0),
    Verb.START: _MANAGE,
    Verb.STOP: _MANAGE,
    Verb.ATTACH_KEY: _quota("ssh_keys", 1.0),
}
"""By verb; per key and endpoint (clouds.md A6)."""


class VastProvider:
    """Its ids are numbers there and text here."""

    def __init__(self, client: VastClient) -> None:
        self._client = client

    async def account(self) -> CloudAccount:
        with vast_errors():
            user = await self._client.current_user()
        facts = user.model_dump(include={"email", "credit", "balance", "balance_threshold"})
        return CloudAccount(id=str(user.id), **facts)

    async def offers(self, query: OfferQuery, *, gpu_names: Collection[str] | None, order: str) -> Sequence[Offer]:
        if query.offer_id is not None and not query.offer_id.isdecimal():
            return []  # no id of an offer here
        filters = wire_filters(query, gpu_names)
        with vast_errors():
            rows = await self._client.search_offers(filters, kind=KINDS[query.machine_type], order=wire_order(order))
        return to_offers(rows)

    async def gpu_names(self) -> Collection[str]:
        with vast_errors():
            return await self._client.gpu_names()

    async def create(self, request: MachineRequest, *, deadline: float) -> str | None:
        with vast_errors():
            contract = await self._client.rent(int(request.offer_id), rent_request(request), timeout=deadline)
        return None if contract is None else str(contract)

    async def list(self, labels: Collection[Label] | None = None, *, turn: Turn | None = None) -> Listing:
        wanted = None if labels is None else [str(label) for label in labels]
        with vast_errors():
            listing = to_listing(await self._client.list_instances(wanted, turn))
        return listing if labels is None else listing.of(labels)

    async def get(self, cloud_id: str) -> Machine | None:
        with vast_errors():
            row = await self._client.show_instance(int(cloud_id))
        return None if row is None else to_machine(row)

    async def delete(self, cloud_id: str) -> None:
        with vast_errors():
            await self._client.destroy_instance(int(cloud_id))

    async def start(self, cloud_id: str) -> None:
        with vast_errors():
            await self._client.set_state(int(cloud_id), "running")

    async def stop(self, cloud_id: str) -> None:
        with vast_errors():
            await self._client.set_state(int(cloud_id), "stopped")

    async def attach_key(self, cloud_id: str, public_key: str) -> None:
        with vast_errors():
            await self._client.attach_ssh_key(int(cloud_id), public_key)


@contextmanager
def vast_errors() -> Iterator[None]:
    """Its errors as everybody's."""
    try:
        yield
    except VastThrottled as error:
        raise Throttled(str(error), error.retry_after, cloud=TITLE) from error
    except VastNotSent as error:
        raise NotSent(str(error), cloud=TITLE) from error
    except VastUnavailable as error:
        raise Unavailable(str(error), cloud=TITLE) from error
    except VastKeyRefused as error:
        raise KeyRefused(str(error), cloud=TITLE) from error
    except VastRefused as error:
        raise _refusal(error) from error


def _refusal(error: VastRefused) -> Refused:
    kind = MachineNotFound if isinstance(error, VastNotFound) else Refused
    if is_offer_gone(error) or error.code == GPU_TAKEN:
        kind = CapacityGone
    made = None if error.new_contract is None else str(error.new_contract)
    return kind(str(error), cloud_id=made, cloud=TITLE)
