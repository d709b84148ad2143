"""The tables. Rows only: no behaviour lives on them; transactions that need rules are in the files beside this one."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Enum, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from domain.phases import (
    AccessType,
    DeploymentStage,
    DeploymentStatus,
    Desired,
    EndpointState,
    InstancePurpose,
    InstanceStatus,
    KeyStatus,
    LeaseOutcome,
    LeaseState,
    Power,
    SshWake,
    SshWay,
)


class Table(DeclarativeBase):
    """Times are timestamptz in UTC; enums are kept as their text, so a new member needs no migration."""

    type_annotation_map = {
        StrEnum: Enum(
            StrEnum,
            native_enum=False,
            create_constraint=False,
            length=32,
            values_callable=lambda kind: [each.value for each in kind],
        ),
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[Any]: JSONB,
    }


class Installation(Table):
    """One row: who we are on the clouds. `pairing_nonce` is also kept in Temporal, to notice a restored backup."""

    __tablename__ = "installation"
    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[str]
    pairing_nonce: Mapped[str]
    next_nonce: Mapped[str | None]
    paired_at: Mapped[datetime | None]
    home: Mapped[str | None]
    former_uids: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    """Of installations that this one was copied from: their machines are told of, never touched."""
    adopted_uids: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    """Former ones that are gone: their machines are ours to reap."""
    needs_adoption: Mapped[str | None]
    """Why the reaper may only report until `dumont adopt`: the two databases do not belong together (any more)."""
    sealed_ssh_host_key: Mapped[str | None]
    """Of the gateways' shared SSH port; an instance's own port has the instance's own."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class User(Table):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str | None]
    password_hash: Mapped[str]
    tokens_valid_from: Mapped[datetime] = mapped_column(server_default=func.now())
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class RevokedToken(Table):
    __tablename__ = "revoked_tokens"
    jti: Mapped[str] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class LoginFailure(Table):
    __tablename__ = "login_failures"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    address: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class ApiKey(Table):
    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str]
    key_hash: Mapped[str] = mapped_column(unique=True)
    hint: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime | None]


class Account(Table):
    """One account at a cloud, known by the cloud's own user id. Keys belong to it; leases and limits hang on it."""

    __tablename__ = "accounts"
    __table_args__ = (UniqueConstraint("url", "cloud_user_id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    cloud: Mapped[str]
    url: Mapped[str]
    cloud_user_id: Mapped[str]
    email: Mapped[str | None]
    credit: Mapped[float | None]
    credit_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ProviderKey(Table):
    """A cloud key, sealed. `account_id`: None until the cloud has said whose it is; `user_id` None: the operator's."""

    __tablename__ = "provider_keys"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"), index=True)
    url: Mapped[str]
    sealed: Mapped[str]
    fingerprint: Mapped[str] = mapped_column(index=True)
    last4: Mapped[str]
    status: Mapped[KeyStatus] = mapped_column(default=KeyStatus.UNCHECKED)
    checked_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    retired_at: Mapped[datetime | None]


class UserSettings(Table):
    __tablename__ = "user_settings"
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    provider_key_id: Mapped[int | None] = mapped_column(ForeignKey("provider_keys.id"))
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Instance(Table):
    """What a user holds. `spec` is an `InstanceSpec` (domain/instances.py)."""

    __tablename__ = "instances"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    provider_key_id: Mapped[int] = mapped_column(ForeignKey("provider_keys.id"))
    purpose: Mapped[InstancePurpose]
    desired: Mapped[Desired] = mapped_column(default=Desired.RUNNING)
    status: Mapped[InstanceStatus] = mapped_column(default=InstanceStatus.PROVISIONING, index=True)
    message: Mapped[str] = mapped_column(default="")
    label: Mapped[str | None]
    spec: Mapped[dict[str, Any]]
    lease_id: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    running_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    # What follows is for instances that keep files: they sleep, wake, and have an SSH address of their own.
    persist: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    """Paths that outlive the machine."""
    epoch: Mapped[int] = mapped_column(default=0, server_default="0")
    """Rises whenever the files move to another machine: what an older machine still says or sends is void."""
    home_lease_id: Mapped[str | None]
    """The lease whose machine holds the instance's files as they are now."""
    restore_snapshot_id: Mapped[str | None]
    """This snapshot has to be on the machine before the instance runs."""
    wished_by: Mapped[str] = mapped_column(default="", server_default="")
    wished_at: Mapped[datetime | None]
    status_at: Mapped[datetime | None]
    """When `status` became what it is."""
    warnings: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    last_wake: Mapped[dict[str, Any] | None]
    """A `WakeReport` (domain/wakes.py) of the present or last wake."""
    fruitless_wakes: Mapped[int] = mapped_column(default=0, server_default="0")
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
    holder_kind: Mapped[str]
    holder_id: Mapped[str]
    label: Mapped[str] = mapped_column(unique=True)
    offer_id: Mapped[int] = mapped_column(BigInteger)
    machine_id: Mapped[int] = mapped_column(BigInteger, index=True)
    gpu_name: Mapped[str]
    num_gpus: Mapped[int]
    dph_total: Mapped[float]
    offer: Mapped[dict[str, Any]]
    state: Mapped[LeaseState] = mapped_column(default=LeaseState.RESERVED)
    wanted: Mapped[bool] = mapped_column(default=True)
    outcome: Mapped[LeaseOutcome] = mapped_column(default=LeaseOutcome.PENDING)
    reason: Mapped[str] = mapped_column(default="")
    cloud_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
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
    """Its disk holds a user's work: when it is found stopped it is kept stopped, not given back."""
    power: Mapped[Power] = mapped_column(default=Power.RUNNING, server_default=Power.RUNNING.value)
    start_refused: Mapped[str | None]
    """Why the machine could not be started again; cleared by the next wish."""
    storage_dph: Mapped[float] = mapped_column(default=0.0, server_default="0")
    """USD/h that it costs while it is stopped."""
    stopped_at: Mapped[datetime | None]
    stopped_seconds: Mapped[float] = mapped_column(default=0.0, server_default="0")
    """Of earlier stops; the present one counts from `stopped_at`."""
    ran_until: Mapped[datetime | None]
    """When it last ran, as far as we know: a snapshot that was taken earlier is not the newest state."""


class Deployment(Table):
    __tablename__ = "deployments"
    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instances.id"), index=True)
    endpoint_id: Mapped[str]
    model_type: Mapped[str]
    model_id: Mapped[str]
    plan: Mapped[dict[str, Any]]
    sealed_env: Mapped[str | None]
    label: Mapped[str | None]
    wanted: Mapped[bool] = mapped_column(default=True)
    status: Mapped[DeploymentStatus] = mapped_column(default=DeploymentStatus.DEPLOYING, index=True)
    stage: Mapped[DeploymentStage] = mapped_column(default=DeploymentStage.PROVISIONING)
    message: Mapped[str] = mapped_column(default="")
    phase_timings_ms: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ready_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class Stray(Table):
    """A machine that carries our label but that no open lease accounts for: since when, and what was done.

    `verdict`: `release` (its lease is closed, or records another machine) or `unknown` (no lease row at all).
    """

    __tablename__ = "strays"
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    cloud_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    label: Mapped[str]
    verdict: Mapped[str]
    first_seen_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    last_seen_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    stopped_at: Mapped[datetime | None]
    permitted_until: Mapped[datetime | None]
    """A person has looked: until then the next action on this machine does not count for the reaper's brake."""
    ended_at: Mapped[datetime | None]
    """Destroyed by us, or under no suspicion any more."""


class Alarm(Table):
    """Something that a person has to look at. The same one is not raised twice while it is open."""

    __tablename__ = "alarms"
    __table_args__ = (Index("alarms_open", "kind", "text", unique=True, postgresql_where=text("closed_at IS NULL")),)
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[str]
    text: Mapped[str]
    raised_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    last_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    closed_at: Mapped[datetime | None]


class Beat(Table):
    """When a process that nobody can ask last said that it is alive."""

    __tablename__ = "beats"
    process: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())


class Endpoint(Table):
    """A model's address: `<gateway>/e/<path>`. `version` rises with every change, and NOTIFY `routes` tells of it."""

    __tablename__ = "endpoints"
    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    path: Mapped[str] = mapped_column(unique=True)
    access_type: Mapped[AccessType]
    key_hash: Mapped[str | None]
    model_type: Mapped[str]
    model_id: Mapped[str]
    state: Mapped[EndpointState] = mapped_column(default=EndpointState.STARTING)
    lease_id: Mapped[str | None]
    port: Mapped[int]
    sealed_upstream_key: Mapped[str]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Idempotency(Table):
    """The answer that a starting POST gave under an `Idempotency-Key`, for 24 hours."""

    __tablename__ = "idempotency"
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    body_hash: Mapped[str]
    status_code: Mapped[int | None]
    answer: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class RequestSlot(Table):
    """The shared limiter: when an account may next call an endpoint of its cloud."""

    __tablename__ = "request_slots"
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    endpoint: Mapped[str] = mapped_column(primary_key=True)
    free_at: Mapped[datetime]


class OfferSearch(Table):
    """The last answer to one search of a market, shared by all processes."""

    __tablename__ = "offer_searches"
    url: Mapped[str] = mapped_column(primary_key=True)
    query: Mapped[str] = mapped_column(primary_key=True)
    fetched_at: Mapped[datetime]
    offers: Mapped[list[Any]]


class Event(Table):
    """The timeline of one thing of a user's, in sentences."""

    __tablename__ = "events"
    __table_args__ = (Index("events_subject", "subject", "id"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    subject: Mapped[str]
    kind: Mapped[str]
    text: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
