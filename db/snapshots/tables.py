"""Snapshots, and the repositories that hold them."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from db.tables import Table
from domain.snapshots.phases import SnapshotStatus


class VaultRepository(Table):
    """An instance's repository and its password, sealed."""

    __tablename__ = "vault_repositories"
    instance_id: Mapped[int] = mapped_column(primary_key=True)
    sealed_password: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Snapshot(Table):
    """A copy of an instance's files. Its newest state is the last `ready` one that was taken under its epoch."""

    __tablename__ = "snapshots"
    __table_args__ = (Index("snapshots_of_instance", "instance_id", "created_at"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instances.id"))
    lease_id: Mapped[str]
    epoch: Mapped[int]
    label: Mapped[str | None]
    tags: Mapped[list[Any]] = mapped_column(default=list)
    paths: Mapped[list[Any]] = mapped_column(default=list)
    status: Mapped[SnapshotStatus] = mapped_column(default=SnapshotStatus.CREATING)
    verified: Mapped[bool] = mapped_column(default=False)
    final: Mapped[bool] = mapped_column(default=False)
    """Taken after the user's processes had ended: nothing changed while it was read."""
    message: Mapped[str] = mapped_column(default="")
    restic_id: Mapped[str | None]
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    data_added_bytes: Mapped[int | None] = mapped_column(BigInteger)
    files: Mapped[int | None]
    bytes_done: Mapped[int] = mapped_column(BigInteger, default=0)
    progressed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    taken_at: Mapped[datetime | None]
    """When its reading began, by our clock: what was written later is not in it."""
    ended_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
