"""A second kind of cloud, in memory and as unlike Vast.ai as may be.

Its ids are names, its labels are two keys with values, nothing can be stopped, it has no GPU and no relay, and its
listings come in pages of three rows.
"""

import itertools
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from clouds.errors import CapacityGone, KeyRefused, NotSent, Refused, Throttled, Unavailable
from clouds.provider import Capabilities, Cloud, CloudAccount, InMachine, Listing, Machine, MachineRequest, Turn, Verb
from clouds.rate_limits import ApiQuota
from domain.machines.labels import Label
from domain.machines.machines import MachineSeen, Seen
from domain.market.offers import MachineType, Offer, OfferQuery, accepts, usd
from tests.clouds.troubles import KEY, OTHER_KEY, Trouble

Answer = TypeVar("Answer")

NAME, TITLE = "memory", "Memory Cloud"
ROWS = 3
PORT = 22


@dataclass
class Vm:
    name: str
    labels: Mapping[str, str]
    runs: bool = False
    keys: list[str] = field(default_factory=list)

    @property
    def label(self) -> Label | None:
        if set(self.labels) != {"dumont-installation", "dumont-lease"}:
            return None
        return Label(self.labels["dumont-installation"], self.labels["dumont-lease"])

    def machine(self) -> Machine:
        at = {"public_ipaddr": "10.0.0.9", "ports": {"22/tcp": PORT}} if self.runs else {}
        state, word = (Seen.UP, "RUNNING") if self.runs else (Seen.BOOTING, "STAGING")
        return Machine(cloud_id=self.name, label=self.label, seen=MachineSeen(state=state, actual_status=word, **at))


class MemoryService:
    """The cloud itself; `cloud` is what is registered of it. Reachable from any test that rents machines."""

    def __init__(self) -> None:
        self.vms: dict[str, Vm] = {}
        self.offer_ids = ["zone-a/tiny", "zone-a/small", "zone-b/tiny"]
        self.listings = 0
        self._numbers = itertools.count(0xA1B2)
        self._troubles: list[tuple[Verb, Trouble]] = []
        self.cloud = Cloud(
            name=NAME,
            title=TITLE,
            url=f"memory://{secrets.token_hex(6)}",
            open=lambda url, key: MemoryProvider(self, key),
            key_field="memory_key",
            capabilities=Capabilities(
                stops=False, relay=False, gpus=False, bids=False, listing_rows=ROWS, offers_shown=100
            ),
            quotas={verb: ApiQuota(verb.value, 1.0, penalty=3.0) for verb in Verb},
            in_machine=InMachine(id="VM_NAME"),
        )

    def spoil(self, verb: Verb, trouble: Trouble, times: int = 1) -> None:
        self._troubles += [(verb, trouble)] * times

    def there(self) -> Mapping[str, Label | None]:
        return {name: vm.label for name, vm in self.vms.items()}

    def rent_by_hand(self, label: Label | None) -> str:
        return self.made({} if label is None else labels_of(label)).name

    def boot(self) -> None:
        for vm in self.vms.values():
            vm.runs = True

    def lose(self, cloud_id: str) -> None:
        del self.vms[cloud_id]

    def made(self, labels: Mapping[str, str]) -> Vm:
        vm = Vm(f"vm-{next(self._numbers):x}", labels)
        self.vms[vm.name] = vm
        return vm

    def listing(self, labels: Collection[Label] | None, trouble: Trouble | None) -> Listing:
        """What it lists, with the newest of these machines as the trouble has it."""
        found = [vm.machine() for vm in self.vms.values() if labels is None or vm.label in labels]
        if not found or trouble not in (Trouble.ODD_ROW, Trouble.ROW_WITHOUT_ID, Trouble.BARE_ROW):
            return Listing(machines=found)
        if trouble is Trouble.ODD_ROW:
            return Listing(machines=[*found[:-1], _garbled(found[-1])])
        label = None if trouble is Trouble.BARE_ROW else found[-1].label
        is_ours = trouble is Trouble.BARE_ROW or label is not None
        return Listing(machines=found[:-1], hidden=frozenset([label] if is_ours else []))

    def trouble(self, verb: Verb) -> Trouble | None:
        found = next((each for each in self._troubles if each[0] is verb), None)
        if found is not None:
            self._troubles.remove(found)
        return None if found is None else found[1]


def labels_of(label: Label) -> dict[str, str]:
    return {"dumont-installation": label.installation_id, "dumont-lease": label.lease_id}


class MemoryProvider:
    def __init__(self, service: MemoryService, key: str) -> None:
        self._service = service
        self._key = key

    async def account(self) -> CloudAccount:
        after = self._asked(Verb.ACCOUNT)
        return _answered(after, CloudAccount(id="project-1", email="someone@memory", credit=12.5))

    async def offers(self, query: OfferQuery, *, gpu_names: Collection[str] | None, order: str) -> Sequence[Offer]:
        after = self._asked(Verb.OFFERS)
        if gpu_names is not None or query.machine_type is MachineType.INTERRUPTIBLE:
            return _answered(after, [])
        return _answered(after, [each for each in map(_offer, self._service.offer_ids) if accepts(query, each)])

    async def gpu_names(self) -> Collection[str]:
        return []

    async def create(self, request: MachineRequest, *, deadline: float) -> str | None:
        after = self._asked(Verb.CREATE)
        if after is Trouble.CAPACITY_GONE or request.offer_id not in self._service.offer_ids:
            raise CapacityGone("stockout", cloud=TITLE)
        vm = self._service.made(labels_of(request.label))
        if after is Trouble.HALF_MADE:
            raise Refused("quota exceeded after the disk was made", cloud_id=vm.name, cloud=TITLE)
        return _answered(after, None if after is Trouble.NO_ID else vm.name)

    async def list(self, labels: Collection[Label] | None = None, *, turn: Turn | None = None) -> Listing:
        after = None
        found = self._service.listing(labels, None)
        for page in range(max(1, -(-len(found.machines) // ROWS))):
            if page and turn is not None:
                await turn()
            after = self._asked(Verb.LIST)
            self._service.listings += 1
            found = _answered(after, self._service.listing(labels, after))
        return found

    async def get(self, cloud_id: str) -> Machine | None:
        after = self._asked(Verb.GET)
        vm = self._service.vms.get(cloud_id)
        machine = None if vm is None else vm.machine()
        return _answered(after, _garbled(machine) if machine and after is Trouble.ODD_ROW else machine)

    async def delete(self, cloud_id: str) -> None:
        after = self._asked(Verb.DELETE)
        self._service.vms.pop(cloud_id, None)
        _answered(after, None)

    async def start(self, cloud_id: str) -> None:
        self._asked(Verb.START)
        raise Refused("nothing is ever stopped here", cloud=TITLE)

    async def stop(self, cloud_id: str) -> None:
        self._asked(Verb.STOP)
        raise Refused("nothing can be stopped here", cloud=TITLE)

    async def attach_key(self, cloud_id: str, public_key: str) -> None:
        after = self._asked(Verb.ATTACH_KEY)
        self._service.vms[cloud_id].keys.append(public_key)
        _answered(after, None)

    def _asked(self, verb: Verb) -> Trouble | None:
        """What goes wrong with the answer; raises what goes wrong before anything is carried out."""
        trouble = self._service.trouble(verb)
        if self._key not in (KEY, OTHER_KEY) or trouble is Trouble.KEY_REFUSED:
            raise KeyRefused("no such key", cloud=TITLE)
        if trouble is Trouble.THROTTLED:
            raise Throttled("too often", cloud=TITLE)
        if trouble is Trouble.NOT_SENT:
            raise NotSent("no route", cloud=TITLE)
        if trouble in (Trouble.UNREADABLE, Trouble.LOST_BEFORE):
            raise Unavailable("no answer", cloud=TITLE)
        if trouble is Trouble.REFUSED:
            if verb in (Verb.LIST, Verb.GET):
                raise Unavailable("it does not say", cloud=TITLE)
            raise Refused("not now", cloud=TITLE)
        return trouble


def _garbled(machine: Machine) -> Machine:
    seen = MachineSeen(state=Seen.UNKNOWN)
    return machine.model_copy(update={"seen": seen, "unreadable": frozenset({"public_ipaddr", "ports"})})


def _answered(after: Trouble | None, answer: Answer) -> Answer:
    if after is Trouble.LOST_AFTER:
        raise Unavailable("no answer", cloud=TITLE)
    return answer


def _offer(offer_id: str) -> Offer:
    return Offer(
        id=offer_id,
        host_id=offer_id.partition("/")[0],
        gpu_name="",
        num_gpus=0,
        gpu_ram=0,
        cpu_cores=2,
        cpu_ram=4,
        disk_space=100,
        inet_down=1000,
        inet_up=1000,
        price_usd_per_hour=usd(0.01 + len(offer_id) / 1000),
        reliability=1,
        cuda_version=0,
        verified=True,
        static_ip=False,
    )
