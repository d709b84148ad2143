"""What the simulated cloud remembers. Money in dollars, times in epoch seconds, memory in MB as on Vast's wire."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from simulator.faults import BootFault, StartFault

Status = Literal[
    "created", "loading", "running", "stopping", "stopped", "frozen", "exited", "rebooting", "unknown", "offline"
]
Ending = Literal["destroyed", "killed", "removed", "expired"]


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
    """GPUs that other customers hold on demand (set over the control routes)"""
    visitors: int = 0
    """GPUs that other customers of the living market hold on demand"""
    rivals: list[float] = Field(default_factory=list)
    """other customers' bids, $ per hour for one GPU each"""
    offline: bool = False
    removed: bool = False


class Offer(BaseModel):
    """One ask: some GPUs of one host for a price. It keeps its id while it comes and goes."""

    id: int
    machine_id: int
    num_gpus: int
    dph_base: float
    """$ per hour for the GPUs, without storage"""
    min_bid: float


class Stopwatch(BaseModel):
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
    free_from: float = 0.0
    """before this time others have its GPUs: a start is queued"""
    container_env: dict[str, str] = Field(default_factory=dict)
    """what its container was told of address and ports when it was made; a start elsewhere does not tell it anew"""
    fails: BootFault | StartFault | None = None
    """how it fails to come up: by a fault, or as the loser of a double sale"""
    outbid: bool = False
    """stopped because others bid more; runs again by itself when its bid is good enough"""
    listed_from: float = 0.0
    """lists do not show it before this time"""
    found_from: float = 0.0
    """``GET /instances/{id}/`` does not find it before this time"""
    old_row: dict[str, Any] = Field(default_factory=dict)
    """its row before the last change, shown until ``old_until``"""
    old_until: float = 0.0
    shown_as: dict[str, Any] = Field(default_factory=dict)
    """fields that its row shows instead of the truth (set over the control routes)"""
    up_bytes: int = 0
    down_bytes: int = 0
    inet_cost: float = 0.0
    """$ per GB, either way"""
    prepaid: float = 0.0
    """$ that were paid ahead for it"""
    prepaid_from: float = 0.0
    """what it had cost by then, in $"""
    full_price: float | None = None
    """$ per hour before the discount for paying ahead"""
    attached: list["SshKey"] = Field(default_factory=list)
    gpu_time: Stopwatch = Field(default_factory=Stopwatch)
    gpu_spent: float = 0.0
    """$ for GPU time at earlier prices"""
    storage_time: Stopwatch = Field(default_factory=Stopwatch)
    gpu_util: float = 0.0
    gpu_memory_used: int = 0
    ending: Ending | None = None
    ended_at: float | None = None

    @property
    def alive(self) -> bool:
        return self.ending is None

    def cost(self, now: float) -> float:
        return sum(self.items(now).values())

    def items(self, now: float) -> dict[str, float]:
        """What it has cost, in $: GPU only while running, storage always, bandwidth by the byte."""
        return {
            "gpu": self.gpu_spent + self.gpu_time.read(now) / 3600 * self.dph_base,
            "storage": self.storage_time.read(now) / 3600 * self.storage_hourly,
            "upload": self.up_bytes / 1e9 * self.inet_cost, "download": self.down_bytes / 1e9 * self.inet_cost,
        }  # fmt: skip

    def deposit(self, now: float, money_rate: float) -> float:
        """What is left of the money paid ahead: costs are taken from it first, and the end gives the rest back."""
        used = (self.cost(now) - self.prepaid_from) * money_rate
        return max(0.0, self.prepaid - used) if self.alive and self.prepaid else 0.0

    def reprice(self, dph_base: float, now: float) -> None:
        """From now on it costs this much; what ran so far stays charged at the old price."""
        running = self.gpu_time.since is not None
        self.gpu_time.halt(now)
        self.gpu_spent += self.gpu_time.seconds / 3600 * self.dph_base
        self.gpu_time = Stopwatch(since=now if running else None)
        self.dph_base = dph_base


class SshKey(BaseModel):
    id: int
    account_id: int
    public_key: str
    created_at: float


class ApiKey(BaseModel):
    """A further key of an account, with what it may do: ``{"api": {"instance_read": {}, …}}`` (none: everything)."""

    id: int
    account_id: int
    name: str
    key: str
    permissions: dict[str, Any] | None = None
    key_params: Any = None
    created_at: float


class Webhook(BaseModel):
    id: int
    account_id: int
    name: str | None
    url: str
    event_types: list[str]
    secret: str
    created_at: float
    updated_at: float


class Payment(BaseModel):
    time: float
    amount: float
    """$ paid in"""


class Account(BaseModel):
    id: int
    api_key: str
    email: str
    username: str
    credit: float
    """what was paid in; what is left is this less all costs"""
    secrets: dict[str, str] = Field(default_factory=dict)
    """environment variables for the account's new machines"""
    payments: list[Payment] = Field(default_factory=list)
    details: dict[str, Any] = Field(default_factory=dict)
    """what ``set user`` wrote"""
    warned: bool = False
    """the low-credit notice is out"""
