"""What a job can be: a script, a GPU and a deadline."""

from pydantic import BaseModel, Field

from domain.ids import CloudId
from domain.machines.spec import DEFAULT_DISK_GB, DEFAULT_IMAGE

DEFAULT_TIMEOUT_MINUTES = 60.0


DEFAULT_OUTPUT_PATH = "/workspace/output"


SPOT_RETRIES = 3


"""Unless the job says otherwise: a spot machine is taken away by design, so its job is meant to be tried again."""


class JobSpec(BaseModel):
    """What was asked for; kept with the job. `env` is sealed elsewhere (db/jobs/jobs.py)."""

    script: str
    setup_script: str = ""
    pip_packages: list[str] = []
    gpu_name: str | None = None
    offer_id: CloudId | None = None
    num_gpus: int = 1
    max_price: float | None = None
    use_spot: bool = False
    image: str = DEFAULT_IMAGE
    disk_size: float = DEFAULT_DISK_GB
    timeout_minutes: float = Field(default=DEFAULT_TIMEOUT_MINUTES, ge=1)
    output_paths: list[str] = [DEFAULT_OUTPUT_PATH]
    max_retries: int = Field(default=0, ge=0)
    checkpoint_minutes: float | None = None
    """So often `/workspace` is saved while the script runs, for the next attempt to begin with."""


def unix_lines(script: str) -> str:
    """As a machine reads it: no byte order mark, no Windows line ends, a line end at the end."""
    text = script.removeprefix("\ufeff").replace("\r\n", "\n")
    return text if text.endswith("\n") else f"{text}\n"
