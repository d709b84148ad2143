"""Instances and their SSH ports."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from db.tables import Table
from domain.instances.phases import Desired, InstanceKind, InstanceStatus, SshWake


class SshPort(Table):
    """A port of the SSH gateway. `instance_id` None: bound and spare; `freed_at`: since when it rests."""

    __tablename__ = "ssh_ports"
    shard: Mapped[str] = mapped_column(primary_key=True)
    port: Mapped[int] = mapped_column(primary_key=True)
    instance_id: Mapped[int | None] = mapped_column(index=True)
    freed_at: Mapped[datetime | None]


class Instance(Table):
    """What a user holds. `spec` is an `InstanceSpec` (domain/instances/instances.py)."""

    __tablename__ = "instances"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    provider_key_id: Mapped[int] = mapped_column(ForeignKey("provider_keys.id"))
    kind: Mapped[InstanceKind]
    desired: Mapped[Desired] = mapped_column(default=Desired.RUNNING)
    status: Mapped[InstanceStatus] = mapped_column(default=InstanceStatus.PROVISIONING, index=True)
    message: Mapped[str] = mapped_column(default="")
    label: Mapped[str | None]
    spec: Mapped[dict[str, Any]]
    lease_id: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    running_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    # The columns below are for instances that keep files: they sleep, wake, and have an SSH address.
    persist: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    """Paths that outlive the machine."""
    epoch: Mapped[int] = mapped_column(default=0, server_default="0")
    """Increased whenever the files move to another machine; what comes from a machine of an older epoch is ignored."""
    data_lease_id: Mapped[str | None]
    """The lease whose machine holds the instance's files as they are now."""
    restore_snapshot_id: Mapped[str | None]
    """This snapshot must be restored before the instance runs."""
    requested_by: Mapped[str] = mapped_column(default="", server_default="")
    requested_at: Mapped[datetime | None]
    status_at: Mapped[datetime | None]
    """When `status` became what it is."""
    warnings: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    last_wake: Mapped[dict[str, Any] | None]
    """A `WakeReport` (domain/instances/wakes.py) of the present or last wake."""
    failed_wakes: Mapped[int] = mapped_column(default=0, server_default="0")
    idle_pause_minutes: Mapped[float | None]
    idle_hibernate_minutes: Mapped[float | None]
    keep_awake_until: Mapped[datetime | None]
    idle_since: Mapped[datetime | None]
    will_pause_at: Mapped[datetime | None]
    will_hibernate_at: Mapped[datetime | None]
    traffic_at: Mapped[datetime | None]
    """When the gateway last relayed bytes of a user's, noted every few seconds at most."""
    ssh_host: Mapped[str | None]
    ssh_port: Mapped[int | None]
    ssh_wake: Mapped[SshWake] = mapped_column(default=SshWake.AUTO, server_default=SshWake.AUTO.value)
    ssh_public_keys: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    """Keys given with the instance; the account's own (`ssh_keys`) are good too."""
    ssh_host_key: Mapped[str | None]
    """The public line that `known_hosts` learns; the private half is sealed, and never on a rented machine."""
    sealed_ssh_host_key: Mapped[str | None]
