"""What an instance was asked to be."""

from pydantic import BaseModel, Field

from domain.machines.spec import DEFAULT_DISK_GB, DEFAULT_IMAGE, MachineSpec
from domain.market.offers import MachineType, OfferQuery

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
    """What a user gave, with whatever secrets are in it (db/machines/machine_env.py)."""
    onstart_cmd: str = ""

    def machine(self, *, has_agent: bool) -> MachineSpec:
        """What each of its machines is rented to be."""
        return MachineSpec(
            image=self.image,
            disk_gb=self.disk_size,
            ports=self.ports,
            env=self.env,
            sealed_env=self.sealed_env,
            startup_command=self.onstart_cmd,
            interruptible=self.query.machine_type is MachineType.INTERRUPTIBLE,
            has_agent=has_agent,
        )
