"""Vast.ai's contracts: how one is asked for, and what its many status words mean (clouds.md A3, A5)."""

from clients.vast import VastListing
from clients.vast_types import RentRequest, VastInstance
from clouds.provider import Listing, Machine, MachineRequest
from domain.machines.labels import parse_label
from domain.machines.machines import MachineSeen, Seen

UP = {"running"}
BOOTING = {None, "created", "loading", "rebooting"}
STOPPED = {"exited", "stopped", "frozen"}
ABANDONED = "OCI runtime create failed"
STATUS = {"actual_status", "intended_status"}
"""What a machine's state is read from, unless it is about to be gone."""
WHERE = {"ssh_host", "ssh_port", "public_ipaddr", "ports"}
"""Fields that are as Vast.ai has them."""


def rent_request(request: MachineRequest) -> RentRequest:
    """Ports are smuggled in as options of docker; a price makes it interruptible; any text may be a label."""
    return RentRequest(
        image=request.image,
        disk=request.disk_gb,
        label=str(request.label),
        onstart=request.startup_script,
        env=request.env | {f"-p {port}:{port}": "1" for port in request.ports},
        price=None if request.bid_usd_per_hour is None else float(request.bid_usd_per_hour),
    )


def to_listing(listing: VastListing) -> Listing:
    """A row without a readable id hides a machine, unless it says that it is none of ours."""
    instances = sorted(listing.instances, key=lambda each: each.id)
    hidden = {None if text is None else parse_label(text) for text in listing.without_id if _may_be_ours(text)}
    hidden |= {None for each in instances if "label" in each.unreadable}
    return Listing(machines=[to_machine(each) for each in instances], hidden=frozenset(hidden))


def _may_be_ours(text: str | None) -> bool:
    return text is None or parse_label(text) is not None


def to_machine(instance: VastInstance) -> Machine:
    return Machine(
        cloud_id=str(instance.id),
        label=parse_label(instance.label),
        seen=_seen(instance),
        unreadable=instance.unreadable & WHERE,
    )


def _seen(instance: VastInstance) -> MachineSeen:
    return MachineSeen(
        state=state_of(instance),
        actual_status=instance.actual_status,
        message=(instance.status_msg or "").strip()[:200],
        ssh_host=instance.ssh_host,
        ssh_port=instance.ssh_port,
        public_ipaddr=instance.public_ipaddr,
        ports=instance.ports,
    )


def state_of(instance: VastInstance) -> Seen:
    """A status that we do not know or cannot read is unknown, not a failure."""
    status = instance.actual_status
    if instance.unreadable & STATUS:
        return Seen.UNKNOWN
    if instance.next_state in ("destroyed", "Destroyed"):
        return Seen.ABSENT
    if status == "created" and instance.intended_status == "stopped" and ABANDONED in (instance.status_msg or ""):
        return Seen.BROKEN
    if status in UP:  # one that is reclaimed, or was told to stop, runs until it has stopped, and writes, and costs
        return Seen.UP if instance.intended_status != "stopped" else Seen.STOPPING
    if status in STOPPED:
        return Seen.STOPPED
    if status == "stopping":
        return Seen.STOPPING
    if status in BOOTING:
        return Seen.BOOTING
    return Seen.OFFLINE if status == "offline" else Seen.UNKNOWN
