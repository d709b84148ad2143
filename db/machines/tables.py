"""Leases, agents' reports, the reaper's candidates, and request limits of clouds."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from db.tables import Table
from domain.holders import HolderKind
from domain.machines.phases import LeaseOutcome, LeaseState, Power, SshWay


class AgentReport(Table):
    """The last report of a machine's agent, with our time. `body` is an `AgentStatus`."""

    __tablename__ = "agent_reports"
    lease_id: Mapped[str] = mapped_column(primary_key=True)
    instance_id: Mapped[int] = mapped_column(index=True)
    first_at: Mapped[datetime]
    at: Mapped[datetime]
    active_at: Mapped[datetime | None]
    """When it last reported that a person or a program works there."""
    why_active: Mapped[str] = mapped_column(default="")
    gpu_util: Mapped[float | None]
    version: Mapped[str] = mapped_column(default="")
    body: Mapped[dict[str, Any]]


class Lease(Table):
    """One attempt at one billable thing, written before the cloud is asked. `seen` is a `MachineSeen`."""

    __tablename__ = "leases"
    __table_args__ = (
        Index("leases_open", "account_id", "state", postgresql_where=text("state <> 'closed'")),
        Index(
            "leases_one_open_per_offer",
            "account_id",
            "offer_id",
            unique=True,
            postgresql_where=text("state <> 'closed'"),
        ),
        Index("leases_holder", "holder_kind", "holder_id"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    provider_key_id: Mapped[int] = mapped_column(ForeignKey("provider_keys.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    holder_kind: Mapped[HolderKind]
    holder_id: Mapped[str]
    label: Mapped[str] = mapped_column(unique=True)
    spec: Mapped[dict[str, Any]]
    """A `MachineSpec`: all that the rent request needs to know."""
    offer_id: Mapped[str]
    host_id: Mapped[str] = mapped_column(index=True)
    gpu_name: Mapped[str]
    num_gpus: Mapped[int]
    dph_total: Mapped[float]
    offer: Mapped[dict[str, Any]]
    state: Mapped[LeaseState] = mapped_column(default=LeaseState.RESERVED)
    wanted: Mapped[bool] = mapped_column(default=True)
    outcome: Mapped[LeaseOutcome] = mapped_column(default=LeaseOutcome.PENDING)
    reason: Mapped[str] = mapped_column(default="")
    cloud_id: Mapped[str | None] = mapped_column(index=True)
    seen: Mapped[dict[str, Any]] = mapped_column(default=dict)
    ssh_way: Mapped[SshWay] = mapped_column(default=SshWay.DIRECT, server_default=SshWay.DIRECT.value)
    """By which way it was reached last; the relay where its direct port stays closed."""
    host_key: Mapped[str | None]
    public_key: Mapped[str]
    sealed_private_key: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    asked_at: Mapped[datetime | None]
    rented_at: Mapped[datetime | None]
    running_at: Mapped[datetime | None]
    releasing_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    keeps_files: Mapped[bool] = mapped_column(default=False, server_default="false")
    """Its disk has a user's files: if it is found stopped, it is kept stopped and not released."""
    power: Mapped[Power] = mapped_column(default=Power.RUNNING, server_default=Power.RUNNING.value)
    start_refused: Mapped[str | None]
    """Why the machine could not be started again; cleared by the next request."""
    storage_dph: Mapped[float] = mapped_column(default=0.0, server_default="0")
    """USD/h that it costs while it is stopped."""
    stopped_at: Mapped[datetime | None]
    stopped_seconds: Mapped[float] = mapped_column(default=0.0, server_default="0")
    """Of earlier stops; the present one counts from `stopped_at`."""
    ran_until: Mapped[datetime | None]
    """When it last ran, as far as we know: a snapshot that was taken earlier is not the newest state."""


class Orphan(Table):
    """A machine that carries our label but that no open lease accounts for: since when, and what was done.

    `finding`: `release` (its lease is closed, or records another machine) or `unknown` (no lease row at all).
    """

    __tablename__ = "orphans"
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    cloud_id: Mapped[str] = mapped_column(primary_key=True)
    label: Mapped[str]
    finding: Mapped[str]
    first_seen_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    stopped_at: Mapped[datetime | None]
    permitted_until: Mapped[datetime | None]
    """Until then a person allows the next action on this machine; it does not count for the safety limit."""
    ended_at: Mapped[datetime | None]
    """Destroyed by us, or no candidate any more."""


class RequestSlot(Table):
    """The shared limiter: when an account may next call an endpoint of its cloud."""

    __tablename__ = "request_slots"
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    endpoint: Mapped[str] = mapped_column(primary_key=True)
    free_at: Mapped[datetime]
