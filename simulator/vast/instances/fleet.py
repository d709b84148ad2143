"""The machines behind the contracts: what each is ordered with, and where its files are."""

import logging
import random
from pathlib import Path

from simulator.machines import files, network
from simulator.machines.board import Ask, Board
from simulator.machines.box import Box
from simulator.machines.disk import Disks
from simulator.machines.folder import FolderBox
from simulator.machines.layers import Layers
from simulator.machines.machine import Machine
from simulator.machines.namespace import NamespaceBox
from simulator.machines.spec import GpuSpec, MachineSpec
from simulator.vast.market.gpus import BY_NAME
from simulator.vast.records import Contract, Host

logger = logging.getLogger(__name__)
PORTS = range(20000, 32000)
"""mapped ports: below the range that the kernel gives to outgoing connections"""


class Fleet:
    def __init__(
        self,
        folder: Path,
        network_number: int,
        namespaces: bool,
        layers: Layers,
        disks: Disks | None = None,
        openssh: bool = False,
    ) -> None:
        """``disks``: give each machine a disk that ends where the contract says (none: it does not end)."""
        self._openssh = openssh
        self.folder = folder
        self.namespaces = namespaces
        self._layers = layers
        self._disks = disks
        self._network_number = network_number
        self._machines: dict[int, Machine] = {}

    def machine(self, number: int, ask: Ask) -> Machine:
        if number not in self._machines:
            folder = self.folder / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            box: Box = (NamespaceBox if self.namespaces else FolderBox)(folder, self._layers)
            self._machines[number] = Machine(box, Board(ask), self._openssh)
        return self._machines[number]

    def prepare_disk(self, number: int, gigabytes: float) -> None:
        """Raises BootFailed."""
        if self._disks:
            self._disks.mount(self.folder / str(number), gigabytes)

    def disk_use(self, number: int) -> tuple[float, float] | None:
        """Gigabytes used and their part of the disk; None where disks have no end."""
        return self._disks.use(self.folder / str(number)) if self._disks else None

    def known(self, number: int) -> Machine | None:
        return self._machines.get(number)

    def all(self) -> list[Machine]:
        return list(self._machines.values())

    def forget(self, number: int) -> None:
        """Wipe the files of a machine that has been stopped."""
        self._machines.pop(number, None)
        self._wipe(self.folder / str(number))

    def _wipe(self, folder: Path) -> None:
        if self._disks:
            self._disks.remove(folder)
        files.wipe(folder)

    def sweep(self, living: set[int]) -> None:
        """Wipe the files of machines that ended just as the simulator was killed; find the disks of the others."""
        for folder in list(self.folder.iterdir()):
            if folder.name.isdigit() and int(folder.name) not in living:
                self._wipe(folder)
            elif folder.name.isdigit() and self._disks:
                self._disks.remount(folder)

    def address(self, number: int) -> str:
        """An address of this machine's own in 127.64.0.0/10, or plain loopback where only that exists."""
        return self._address(f"{number // 250 % 250 + 1}.{number % 250 + 1}")

    def _address(self, end: str) -> str:
        if not network.can_bind("127.77.0.1"):
            return "127.0.0.1"
        return f"127.{64 + self._network_number % 64}.{end}"

    def proxy_address(self) -> str:
        """Where the SSH proxy's ports are. No other simulator's are there: a port that is free when a machine is
        rented is free when it boots."""
        return self._address("0.1")

    def free_ports(self, address: str, count: int, taken: set[int]) -> list[int]:
        """Ports that nobody else listens on now. Raises RuntimeError when there are none."""
        found: list[int] = []
        for _ in range(len(PORTS)):
            port = random.choice(PORTS)  # noqa: S311 (not a secret)
            if len(found) == count:
                break
            if port not in taken and port not in found and network.can_bind(address, port):
                found.append(port)
        if len(found) < count:
            raise RuntimeError("no free port is left")
        return found


def order(
    contract: Contract, host: Host, keys: list[str], secrets: dict[str, str], auto_tmux: bool, gpu_missing: bool
) -> MachineSpec:
    """The machine that a contract describes; ``secrets`` are the account's own environment variables."""
    gpu = BY_NAME[contract.gpu_name]
    direct = contract.ports.get("22/tcp")
    jupyter = "jupyter" in contract.runtype
    ends = [(contract.ssh_host, contract.ssh_port + int(jupyter))]
    if direct:
        ends.append((contract.address, direct))
    return MachineSpec(
        id=contract.id, hostname=f"C.{contract.id}", image=contract.image, address=contract.address,
        env=_environment(contract, keys) | secrets | _asked(contract), onstart=contract.onstart,
        command=_command(contract),
        gpu=GpuSpec(gpu.name, contract.num_gpus, gpu.ram, host.driver_version, str(host.cuda_max_good), gpu.watts,
                    gpu_missing),
        ports={int(name.split("/")[0]): port for name, port in contract.ports.items() if name.endswith("/tcp")},
        ssh_ends=ends, authorized_keys=keys, auto_tmux=auto_tmux,
    )  # fmt: skip


def _command(contract: Contract) -> list[str]:
    """In args mode the image's entrypoint stays: ``onstart`` replaces it, ``args`` follow."""
    if contract.runtype != "args":
        return []
    entry = [contract.onstart] if contract.onstart else []
    return [*entry, *contract.args] or ["sleep", "infinity"]


def _environment(contract: Contract, keys: list[str]) -> dict[str, str]:
    """What Vast sets in PID 1's environment (an SSH login does not see it)."""
    gpus = ",".join(str(number) for number in range(contract.num_gpus))
    return {
        "CONTAINER_ID": str(contract.id), "VAST_CONTAINERLABEL": f"C.{contract.id}",
        "CONTAINER_API_KEY": contract.api_key,
        "GPU_COUNT": str(contract.num_gpus), "SSH_PUBLIC_KEY": "\n".join(keys), "DATA_DIRECTORY": "/workspace/",
        "JUPYTER_TOKEN": contract.api_key[:32], "NVIDIA_VISIBLE_DEVICES": gpus, "SIMULATED": "1",
        "USER": "root", "SHELL": "/bin/bash", **contract.container_env,
    }  # fmt: skip


def places(contract: Contract) -> dict[str, str]:
    """What a container is told of its address and ports when it is made."""
    ports = {
        f"VAST_{name.split('/')[1].upper()}_PORT_{name.split('/')[0]}": str(port)
        for name, port in contract.ports.items()
    }
    identity = {f"VAST_TCP_PORT_{wish}": str(port) for wish, port in contract.identity_ports.items()}
    return {"PUBLIC_IPADDR": contract.address, **ports, **identity}


def _asked(contract: Contract) -> dict[str, str]:
    """The create's own variables; names that begin with a dash are docker options."""
    return {name: value for name, value in contract.env.items() if not name.startswith("-")}
