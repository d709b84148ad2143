"""What the simulated cloud remembers. Money in dollars, times in epoch seconds, memory in MB as on Vast's wire."""

from typing import Literal

from pydantic import BaseModel, Field

Status = Literal[
    "created", "loading", "running", "stopping", "stopped", "frozen", "exited", "rebooting", "unknown", "offline"
]
Ending = Literal["destroyed", "killed"]


class Host(BaseModel):
    """One physical computer of some landlord, with all its GPUs."""

    id: int
    host_id: int
    gpu_name: str
    gpu_ram: int
    gpus: int
    cpu_name: str
    cpu_cores: int
    cpu_ram: int
    disk_space: float
    disk_bw: float
    inet_up: float
    inet_down: float
    inet_cost: float
    """$ per GB"""
    reliability: float
    geolocation: str
    verification: Literal["verified", "unverified", "deverified"]
    datacenter: bool
    static_ip: bool
    direct_ports: int
    cuda_max_good: float
    driver_version: str
    storage_cost: float
    """$ per GB and month"""
    end_date: float
    taken: int = 0
    """GPUs that other customers hold (set over the control routes)"""


class Offer(BaseModel):
    """One ask: some GPUs of one host for a price. It keeps its id while it comes and goes."""

    id: int
    machine_id: int
    num_gpus: int
    dph_base: float
    """$ per hour for the GPUs, without storage"""
    min_bid: float


class Meter(BaseModel):
    """A clock that can stand still."""

    seconds: float = 0.0
    since: float | None = None

    def run(self, now: float) -> None:
        if self.since is None:
            self.since = now

    def halt(self, now: float) -> None:
        self.seconds = self.read(now)
        self.since = None

    def read(self, now: float) -> float:
        return self.seconds + (max(0.0, now - self.since) if self.since is not None else 0.0)


class Contract(BaseModel):
    """One rented machine; Vast calls it an instance."""

    id: int
    account_id: int
    offer_id: int
    machine_id: int
    num_gpus: int
    gpu_name: str
    gpu_ram: int
    dph_base: float
    storage_hourly: float
    is_bid: bool
    label: str | None
    image: str
    runtype: str
    onstart: str
    args: list[str]
    env: dict[str, str]
    disk: float
    api_key: str
    address: str
    ssh_host: str
    ssh_port: int
    ports: dict[str, int] = Field(default_factory=dict)
    """``8000/tcp`` → the port at ``address``"""
    identity_ports: dict[str, int] = Field(default_factory=dict)
    """a wish of 70000 or more → the port that stands for it inside and outside"""
    actual_status: Status | None = None
    intended_status: Literal["running", "stopped"] = "running"
    cur_state: Literal["running", "stopped", "unloaded"] = "running"
    next_state: str = "running"
    status_msg: str = ""
    created_at: float
    booted_at: float | None = None
    visible_from: float = 0.0
    start_queued: bool = False
    doomed: bool = False
    """the loser of a double sale: it boots for a while and exits"""
    attached: list["SshKey"] = Field(default_factory=list)
    gpu_time: Meter = Field(default_factory=Meter)
    storage_time: Meter = Field(default_factory=Meter)
    gpu_util: float = 0.0
    gpu_memory_used: int = 0
    ending: Ending | None = None
    ended_at: float | None = None

    @property
    def alive(self) -> bool:
        return self.ending is None

    def cost(self, now: float) -> float:
        hours = self.gpu_time.read(now) / 3600 * self.dph_base
        return hours + self.storage_time.read(now) / 3600 * self.storage_hourly


class SshKey(BaseModel):
    id: int
    account_id: int
    public_key: str
    created_at: float


class Account(BaseModel):
    id: int
    api_key: str
    email: str
    username: str
    credit: float
    """what was paid in; what is left is this less all costs"""
