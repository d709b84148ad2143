"""The way up of a machine: no status, created, loading with docker's lines, running; and where it ends on the way."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import cast

from simulator.faults import BootFault, Fault, StartFault
from simulator.machines.box import BootFailed
from simulator.machines.machine import Doors, Machine
from simulator.vast.cloud import Cloud
from simulator.vast.instances.boot_failures import failed
from simulator.vast.instances.fleet import order, places
from simulator.vast.records import Contract

PULL = ("Pulling from {image}", "{layer}: Pulling fs layer", "{layer}: Downloading", "{layer}: Download complete",
        "{layer}: Extracting", "{layer}: Pull complete", "Status: Downloaded newer image for {image}")  # fmt: skip
Put = Callable[..., None]
Exited = Callable[[Contract, Machine], None]


class Boots:
    def __init__(self, cloud: Cloud, put: Put, exited: Exited) -> None:
        """``put`` changes a contract's row; ``exited`` is called when a machine's first process ends by itself."""
        self._cloud = cloud
        self._put = put
        self._exited = exited

    async def first(self, contract: Contract) -> None:
        """The first boot, image pull and all."""
        clocks = self._cloud.settings_of(contract.account_id).clocks
        if contract.fails is None:
            self._put(contract, fails=self._drawn(contract, "boot"))
        if contract.fails == "stays_null":
            return
        await asyncio.sleep(clocks.null)
        self._put(contract, actual_status="created")
        await asyncio.sleep(clocks.created)
        if contract.fails != "stuck_created":
            await self._pull(contract)
        if contract.fails is None:
            await self.again(contract)
        else:
            await self.fail(contract)

    def start_fault(self, contract: Contract) -> BootFault | StartFault | None:
        """How a start of this stopped machine goes wrong, if it does. One that never ran boots as the first time."""
        return self._drawn(contract, "start") if contract.booted_at is not None else None

    def _drawn(self, contract: Contract, where: str) -> BootFault | StartFault | None:
        """The way in which this machine fails here, noted on it."""
        fault = self._fault(contract, where)
        if fault is None:
            return None
        if fault.fault == "odd_status":
            self._put(contract, shown_as={**contract.shown_as, "actual_status": fault.reads})
        return cast(BootFault | StartFault, fault.fault)

    async def fail(self, contract: Contract) -> None:
        """It does not come up; one way of that has no end."""
        if contract.fails == "never_boots":
            await self._pull_for_ever(contract)
        elif contract.fails is not None:
            self._put(contract, **failed(contract, contract.fails))

    async def again(self, contract: Contract) -> None:
        """Start the machine's processes, on the files that it has."""
        cloud = self._cloud
        machine = cloud.machine(contract)
        machine.box.on_exit = lambda: self._exited(contract, machine)
        host = cloud.hosts[contract.machine_id]
        keys = [] if self._fault(contract, "sshd", "no_keys") else cloud.keys_of(contract)
        gpu_missing = self._fault(contract, "gpu") is not None
        if not contract.container_env:
            self._put(contract, container_env=places(contract))
        tmux = cloud.settings_of(contract.account_id).auto_tmux
        spec = order(contract, host, keys, cloud.secrets_of(contract), tmux, gpu_missing)
        try:
            await asyncio.to_thread(cloud.fleet.prepare_disk, contract.id, contract.disk)
            await machine.boot(spec, self.doors(contract))
        except (BootFailed, OSError) as error:  # a full disk, or files of its own where the platform's belong
            self._put(contract, actual_status="exited", status_msg=f"Error response from daemon: {error}")
            return
        mode = "args" if contract.runtype == "args" else "ssh"
        message = f"success, running {contract.image}/{mode}"
        self._put(contract, actual_status="running", status_msg=message, booted_at=time.time())

    def doors(self, contract: Contract) -> Doors:
        """When SSH and the mapped ports open, with what is set to go wrong with them."""
        clocks = self._cloud.settings_of(contract.account_id).clocks
        ports = self._fault(contract, "ports")
        if ports is not None and ports.fault == "missing":
            self._put(contract, shown_as={**contract.shown_as, "ports": None})
        refused = self._fault(contract, "sshd", "refuses")
        ways_out = self._cloud.settings.way_out
        return Doors(None if refused else clocks.sshd, clocks.ports if ports is None else None, ways_out)

    def _fault(self, contract: Contract, where: str, name: str | None = None) -> Fault | None:
        """The fault that strikes this machine here (with ``name``: only that one)."""
        text = f"{contract.label} {contract.image} {contract.gpu_name} {contract.id}"
        return self._cloud.faults.fire_machine(where, text, contract.account_id, name)

    async def _pull(self, contract: Contract) -> None:
        seconds = random.uniform(*self._cloud.settings_of(contract.account_id).clocks.loading)  # noqa: S311 (a simulation)
        for line in PULL:
            layer = f"{random.randrange(16**12):012x}"  # noqa: S311 (a simulation)
            text = line.format(image=contract.image, layer=layer)
            self._put(contract, actual_status="loading", status_msg=text)
            await asyncio.sleep(seconds / len(PULL))

    async def _pull_for_ever(self, contract: Contract) -> None:
        for attempt in range(1_000_000):
            wait = min(60, 5 * (attempt + 1))
            self._put(contract, actual_status="loading", status_msg=f"a3ed95caeb02: Retrying in {wait} seconds")
            await asyncio.sleep(max(0.05, self._cloud.settings_of(contract.account_id).clocks.loading[1]))
