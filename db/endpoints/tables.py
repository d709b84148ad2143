"""Endpoints, and the deployments that made them."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from db.tables import Table
from domain.endpoints.phases import AccessType, DeploymentStage, DeploymentStatus, EndpointState


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
