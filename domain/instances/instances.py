"""What an instance was asked to be."""

from pydantic import BaseModel, Field

from domain.market.offers import OfferQuery

DEFAULT_IMAGE = "pytorch/pytorch:2.5.1-cuda12.4-cudnn9-runtime"
DEFAULT_DISK_GB = 20.0
DEFAULT_MAX_PRICE = 2.00
DEFAULT_PERSIST = ["/workspace", "/root"]
"""What outlives the machine: these paths, less caches (clouds.md E: /workspace is ordinary disk)."""


class InstanceSpec(BaseModel):
    """Kept with the instance, so that a later machine is rented like the first. `env` never holds a secret."""

    query: OfferQuery
    image: str = DEFAULT_IMAGE
    disk_size: float = Field(default=DEFAULT_DISK_GB, ge=8, le=4096)
    ports: list[int] = []
    env: dict[str, str] = {}
    sealed_env: str | None = None
    """What a user gave, with whatever secrets are in it (db/instances/instances.py)."""
    onstart_cmd: str = ""
