"""Creates an instance that somebody works on: its row, and the SSH address that it keeps for life."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from db.events import record_event
from db.instances.ssh_identity import new_identity
from db.instances.ssh_ports import take_port
from db.instances.tables import Instance
from db.machines.leases import LeaseKeys, LeaseRequest, reserve
from db.machines.tables import Lease
from db.notify import notify_instance
from db.sealing import Sealer
from db.usage.spending import Limits
from domain.holders import instance_holder
from domain.instances.instances import InstanceSpec
from domain.instances.phases import InstanceKind, SshWake
from domain.lifecycles import LIFECYCLES
from domain.market.offers import Offer


class Address(NamedTuple):
    """Where instances are reached over SSH: the gateway's host, the group of gateways, and its range of ports."""

    host: str
    shard: str
    ports: range


class NewInstance(NamedTuple):
    """What is given when an instance is created."""

    user_id: int
    provider_key_id: int
    spec: InstanceSpec
    label: str | None
    persist: list[str]
    ssh_public_keys: list[str]
    ssh_wake: SshWake
    idle_pause_minutes: float | None
    idle_hibernate_minutes: float | None
    warnings: list[str]
    restore_snapshot_id: str | None = None


async def create_instance(session: AsyncSession, sealer: Sealer, address: Address, wanted: NewInstance) -> Instance:
    """Write the row, with an SSH port and a host key that it keeps for life.

    Raises:
        NoPortFree
    """
    public, sealed = new_identity(sealer)
    instance = Instance(
        user_id=wanted.user_id,
        provider_key_id=wanted.provider_key_id,
        kind=InstanceKind.INTERACTIVE,
        label=wanted.label,
        spec=wanted.spec.model_dump(mode="json"),
        persist=wanted.persist,
        ssh_public_keys=wanted.ssh_public_keys,
        ssh_wake=wanted.ssh_wake,
        idle_pause_minutes=wanted.idle_pause_minutes,
        idle_hibernate_minutes=wanted.idle_hibernate_minutes,
        warnings=wanted.warnings,
        restore_snapshot_id=wanted.restore_snapshot_id,
        requested_by="its owner",
        ssh_host=address.host,
        ssh_host_key=public,
        sealed_ssh_host_key=sealed,
    )
    session.add(instance)
    await session.flush()
    instance.ssh_port = await take_port(session, address.shard, address.ports, instance.id)
    text = f"Made, to run {wanted.spec.image} on {wanted.spec.query.gpu_name or 'any GPU'}."
    await record_event(session, instance.user_id, f"instance:{instance.id}", "created", text)
    await notify_instance(session, instance.id)
    return instance


async def reserve_machine(
    session: AsyncSession, instance: Instance, account_id: int, offers: Sequence[Offer], keys: LeaseKeys, limits: Limits
) -> Lease:
    """The instance's lease from now on: its present one while that is good, else a new one for the best free offer.

    The caller holds the instance's row.

    Raises:
        SpendingCapReached, GpuLimitReached, NoOfferFree
    """
    lifecycle = LIFECYCLES[instance.kind]
    request = LeaseRequest(
        holder=instance_holder(instance.id),
        user_id=instance.user_id,
        account_id=account_id,
        provider_key_id=instance.provider_key_id,
        spec=InstanceSpec.model_validate(instance.spec).machine(has_agent=lifecycle.has_agent),
        keeps_files=lifecycle.keeps_files,
    )
    lease = await reserve(session, request, offers, keys, limits)
    instance.lease_id = lease.id
    await session.flush()  # a refresh of the row would forget it
    return lease
