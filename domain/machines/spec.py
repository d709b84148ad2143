"""What a machine is rented to be. It lies on the lease, so that renting knows nothing of who holds it."""

from pydantic import BaseModel

DEFAULT_IMAGE = "pytorch/pytorch:2.5.1-cuda12.4-cudnn9-runtime"
DEFAULT_DISK_GB = 20.0


class MachineSpec(BaseModel):
    """`env` never holds a secret; what a user gave is in `sealed_env` (db/machines/machine_env.py)."""

    image: str = DEFAULT_IMAGE
    disk_gb: float = DEFAULT_DISK_GB
    ports: list[int] = []
    env: dict[str, str] = {}
    sealed_env: str | None = None
    startup_command: str = ""
    """The user's own, run at every start of the machine."""
    interruptible: bool = False
    """Rented by a bid: it may be taken away by who bids more."""
    has_agent: bool = False
    """Our agent watches there."""
