"""What a machine is made of, as its cloud orders it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class GpuSpec:
    name: str
    count: int
    memory_mb: int
    driver: str
    cuda: str
    watts: int
    missing: bool = False
    """fallen off the bus: nvidia-smi finds no device"""


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """An order for one machine. ``ports`` maps container ports to ports at ``address``."""

    id: int
    hostname: str
    image: str
    address: str
    env: dict[str, str]
    onstart: str
    command: list[str]
    """what runs instead of the SSH launch script (docker's entrypoint and arguments); empty in SSH mode"""
    gpu: GpuSpec
    ports: dict[int, int] = field(default_factory=dict)
    ssh_ends: list[tuple[str, int]] = field(default_factory=list)
    """addresses where its SSH server answers"""
    authorized_keys: list[str] = field(default_factory=list)
    auto_tmux: bool = True

    @property
    def ssh(self) -> bool:
        return not self.command
