"""Endpoints, and the deployments that made them."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from db.tables import Table
from domain.endpoints.phases import AccessType, DeploymentStage, DeploymentStatus, EndpointState, ServerTrouble


class Deployment(Table):
    """A user's order to serve a model, and how it went. `plan` is a `ServePlan` (domain/endpoints/plans.py)."""

    __tablename__ = "deployments"
    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instances.id"), index=True)
    endpoint_id: Mapped[str] = mapped_column(ForeignKey("endpoints.id"), unique=True)
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
    """Of the way to its first `ready`."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ready_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class Endpoint(Table):
    """A model's address, `<gateway>/e/<path>`, and the state of the server behind it.

    `version` rises with every change that the gateways have to know, and NOTIFY `routes` tells of it.
    """

    __tablename__ = "endpoints"
    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    path: Mapped[str] = mapped_column(unique=True)
    access_type: Mapped[AccessType]
    key_hash: Mapped[str | None]
    model_type: Mapped[str]
    model_id: Mapped[str]
    port: Mapped[int]
    sealed_upstream_key: Mapped[str]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    # What follows is of its server; with replicas, each of them has these.
    state: Mapped[EndpointState] = mapped_column(default=EndpointState.STARTING)
    state_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """When `state` became what it is."""
    lease_id: Mapped[str | None]
    """The machine on which its server was started last."""
    trouble: Mapped[ServerTrouble | None]
    trouble_text: Mapped[str] = mapped_column(default="", server_default="")
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    """In a row, without having served for a while in between."""
    silent_looks: Mapped[int] = mapped_column(default=0, server_default="0")
    looked_at: Mapped[datetime | None]
    """When its server last gave no good answer."""
