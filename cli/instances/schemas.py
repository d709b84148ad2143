"""What the api says of instances, their timelines and snapshots, as far as the commands read it."""

from datetime import datetime

from pydantic import BaseModel

from domain.instances.phases import InstanceStatus
from domain.instances.wakes import WakeReport
from domain.snapshots.phases import SnapshotStatus


class InstanceView(BaseModel):
    """`dph_total`: USD/h while the GPU runs. `progress`: percent of a change that is under way."""

    id: int
    status: InstanceStatus
    message: str = ""
    progress: int | None = None
    label: str | None = None
    gpu_name: str | None = None
    num_gpus: int | None = None
    dph_total: float | None = None
    disk_space: float | None = None
    ssh_host: str | None = None
    ssh_port: int | None = None
    ssh_command: str | None = None
    ssh_host_key: str | None = None
    ssh_wake: str = "auto"
    kind: str = "interactive"
    ports: dict[str, str] = {}
    idle_since: datetime | None = None
    will_pause_at: datetime | None = None
    will_hibernate_at: datetime | None = None
    keep_awake_until: datetime | None = None
    last_wake: WakeReport | None = None
    warnings: list[str] = []

    @property
    def name(self) -> str:
        """As a person calls it."""
        return f"{self.id} ({self.label})" if self.label else str(self.id)

    @property
    def gpu(self) -> str:
        return f"{self.num_gpus or 1}x {self.gpu_name}" if self.gpu_name else "GPU"


class TimelineEvent(BaseModel):
    """A sentence of a timeline. `kind`: a status, a verb, how an attempt at a machine ended, or `warning`."""

    id: int
    kind: str
    text: str
    at: datetime


class SnapshotView(BaseModel):
    """A copy of an instance's files. Sizes in bytes; null until they are known."""

    id: str
    instance_id: int
    created_at: datetime
    status: SnapshotStatus
    verified: bool = False
    label: str | None = None
    tags: list[str] = []
    paths: list[str] = []
    size_bytes: int | None = None
    data_added_bytes: int | None = None
    files: int | None = None
    message: str = ""
