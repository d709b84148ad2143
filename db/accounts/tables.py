"""Users and their credentials; accounts at clouds and their keys."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from db.tables import Table
from domain.accounts.phases import KeyStatus


class SshKey(Table):
    """A user's public key, good for every instance of theirs at once."""

    __tablename__ = "ssh_keys"
    __table_args__ = (UniqueConstraint("user_id", "fingerprint"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str]
    public_key: Mapped[str]
    fingerprint: Mapped[str]
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
    swept_at: Mapped[datetime | None]
    """When the reaper last listed all of it (activities/machines/reaping.py)."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ProviderKey(Table):
    """A cloud key, sealed. `account_id`: None until the cloud has said whose it is; `user_id` None: the operator's."""

    __tablename__ = "provider_keys"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"), index=True)
    cloud: Mapped[str]
    """The kind of cloud (clouds/registry.py), known before the account is."""
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
