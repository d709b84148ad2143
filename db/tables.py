"""The base of all tables, and those of the whole installation. Rows only: rules are in the files beside them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import DateTime, Enum, ForeignKey, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


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


class ProcessHeartbeat(Table):
    """When a process that nobody can ask last said that it is alive."""

    __tablename__ = "process_heartbeats"
    process: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())


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
