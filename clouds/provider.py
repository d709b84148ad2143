"""The seam: what we ask of a cloud and what it answers, in words and units that are no cloud's own.

A kind of cloud is one module below this one (`vast.py`) and one line in `registry.py`. Whatever is written against
`Provider` (rent, watch, release, reap) knows no vendor.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel, SecretStr

from clouds.rate_limits import ApiQuota
from domain.machines.labels import Label
from domain.machines.machines import MachineSeen
from domain.market.offers import Offer, OfferQuery

Turn = Callable[[], Awaitable[None]]


class Verb(StrEnum):
    """The verbs of a provider: each request of one needs its turn (`Cloud.quotas`)."""

    ACCOUNT = "account"
    OFFERS = "offers"
    CREATE = "create"
    LIST = "list"
    GET = "get"
    DELETE = "delete"
    START = "start"
    STOP = "stop"
    ATTACH_KEY = "attach_key"


class CloudAccount(BaseModel):
    """Whose key it is. Money in USD: `credit` is prepaid, `balance` what is owed."""

    id: str
    email: str | None = None
    credit: float = 0.0
    balance: float = 0.0
    balance_threshold: float | None = None


class MachineRequest(BaseModel):
    """A machine to be made. The label goes into the same request, so that there is never a machine without it."""

    label: Label
    offer_id: str
    image: str
    disk_gb: float
    startup_script: str
    """Run at every start of the machine."""
    env: dict[str, str] = {}
    ports: list[int] = []
    """To be reached from outside, beside SSH's."""
    bid_usd_per_hour: Decimal | None = None
    """For an interruptible machine; None: it is rented on demand."""


class Machine(BaseModel):
    """A machine as its cloud tells of it. `label`: None when it carries none of ours."""

    cloud_id: str
    label: Label | None
    seen: MachineSeen
    unreadable: frozenset[str] = frozenset()
    """The fields of `seen` that the cloud tells of, but nobody can read: what they say is as unknown as before."""


class Listing(BaseModel):
    """The machines that a cloud lists.

    `hidden`: the labels of rows that do not say of which machine they are; None: of one that does not say its label
    either. Such a machine is there, so none that may be it counts as absent.
    """

    machines: list[Machine]
    hidden: frozenset[Label | None] = frozenset()

    def may_hide(self, label: Label) -> bool:
        return not self.hidden.isdisjoint({label, None})

    def of(self, labels: Collection[Label]) -> "Listing":
        """The part with these labels."""
        machines = [each for each in self.machines if each.label in labels]
        return Listing(machines=machines, hidden=self.hidden & {None, *labels})


class Provider(Protocol):
    """One account at one cloud. Each method is one request (`list`: one a page), and nothing is retried.

    All raise `clouds.errors.ProviderError`. `Unavailable` means that nothing is known: no method reads an unreadable
    answer as "none".
    """

    async def account(self) -> CloudAccount:
        """Whose key this is, and the money there."""
        ...

    async def offers(self, query: OfferQuery, *, gpu_names: Collection[str] | None, order: str) -> Sequence[Offer]:
        """What is for rent now and, as far as the cloud can filter, matches; more than matches is no mistake.

        `gpu_names`: the cloud's own names for `query.gpu_name`; None: any. `order`: the field of an `Offer` by which
        the cloud chooses those that it shows; `-` before it, the highest first.
        """
        ...

    async def gpu_names(self) -> Collection[str]:
        """Every GPU name of the market, for rent now or not."""
        ...

    async def create(self, request: MachineRequest, *, deadline: float) -> str | None:
        """Rent a machine. Returns its id, or None when the cloud said yes without naming one. `deadline` in seconds.

        Raises:
            NotSent, Throttled, KeyRefused, Refused: surely not rented (but see `Refused.cloud_id`).
            CapacityGone: the offer is taken.
            Unavailable: nobody knows.
        """
        ...

    async def list(self, labels: Collection[Label] | None = None, *, turn: Turn | None = None) -> Listing:
        """Every machine of the account, or those with one of these labels exactly, the oldest first.

        Completely, or `Unavailable`: half a listing is no listing, and a cloud that refuses to list says nothing. A row
        needs no more than an id and a label: what else of it cannot be read is unknown.

        `turn` is awaited before each page but the first, for each is a request that the cloud counts.
        """
        ...

    async def get(self, cloud_id: str) -> Machine | None:
        """One machine, or None when the cloud says that there is none. A refusal to say is `Unavailable`."""
        ...

    async def delete(self, cloud_id: str) -> None:
        """Ask for its destruction; one that is gone already is a success. That it is gone is for `get` to say."""
        ...

    async def start(self, cloud_id: str) -> None:
        """Ask a stopped machine to run.

        Raises:
            CapacityGone: not now; the cloud may have queued the start, so it has to be cancelled by a stop.
            MachineNotFound
        """
        ...

    async def stop(self, cloud_id: str) -> None:
        """Ask for a stop that keeps the disk; for clouds that can. Raises: MachineNotFound."""
        ...

    async def attach_key(self, cloud_id: str, public_key: str) -> None:
        """Let this key log in as root, for as long as the machine lives."""
        ...


class Capabilities(BaseModel, frozen=True):
    """What differs from cloud to cloud."""

    stops: bool
    """A machine can be stopped with its disk kept, and started again."""
    relay: bool
    """Its machines are reached over a shared relay too, not only at an address of their own."""
    gpus: bool
    bids: bool
    """Machines can be had for less that may be taken away."""
    listing_rows: int
    """Of one page of a listing: so many labels are asked for with one request."""
    offers_shown: int
    """It shows no more of what matches a search."""


class InMachine(BaseModel, frozen=True):
    """What the cloud puts into the environment of PID 1 of its machines, for the programs that we run there.

    Every name may be empty: there is no such thing.
    """

    id: str = ""
    """The variable with the machine's id. Where it is missing, PID 1 is not that of a rented machine."""
    variables: tuple[str, ...] = ()
    """Those that a user's program may expect, as patterns of the shell."""
    address: str = ""
    """The variable with the machine's public address."""
    ports: str = ""
    """The variable of a mapped port, with `{kind}` (TCP or UDP) and `{port}`: it has the port outside."""
    identity_ports_from: int = 0
    """From this number on, a port in such a name is a wish for one that is the same inside and outside; 0: none is."""
    key: str = ""
    """The variable with a key that may stop this one machine."""
    stop_path: str = ""
    """Where a machine stops itself with that key, under the cloud's URL, with `{id}`; by a PUT of `stop_body`."""
    stop_body: dict[str, Any] = {}


@dataclass(frozen=True)
class Cloud:
    """One kind of cloud, as it is registered. `name` is what rows say, `title` what people read."""

    name: str
    title: str
    url: str
    """Of the service that new keys are for; rows keep the one that they were saved with."""
    open: Callable[[str, str], Provider]
    """From a URL and a key."""
    key_field: str
    """The name under which people give us a key for it."""
    capabilities: Capabilities
    quotas: Mapping[Verb, ApiQuota]
    in_machine: InMachine
    installation_key: SecretStr | None = field(default=None, repr=False)
