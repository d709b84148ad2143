"""What happens to a rented machine over time: the states and clocks of a Vast contract, driving a real machine.

One transition runs per contract at a time; a new wish (stop, destroy, reboot …) takes the place of the one under way.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Coroutine
from typing import Any

from simulator import ledger
from simulator.cloud import Cloud
from simulator.fleet import order
from simulator.machines.box import BootFailed
from simulator.machines.machine import Machine
from simulator.market import gpus_held
from simulator.records import Contract, Ending

logger = logging.getLogger(__name__)
PULL = ("Pulling from {image}", "{layer}: Pulling fs layer", "{layer}: Downloading", "{layer}: Download complete",
        "{layer}: Extracting", "{layer}: Pull complete", "Status: Downloaded newer image for {image}")  # fmt: skip
OUT_OF_GPUS = "error: GPUs are held by another instance"


class Lifecycle:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._moves: dict[int, asyncio.Task[None]] = {}
        self._endings: set[asyncio.Task[None]] = set()

    def create(self, contract: Contract) -> None:
        if contract.intended_status == "running":
            self._move(contract, self._first_boot(contract))

    def stop(self, contract: Contract) -> None:
        contract.start_queued = False
        self.put(contract, intended_status="stopped", next_state="stopped")
        self._move(contract, self._stop(contract))

    def start(self, contract: Contract) -> bool:
        """Start again, or queue it when its GPUs are gone (False): a queued start fires when they are back."""
        host = self._cloud.hosts[contract.machine_id]
        held = gpus_held(host, self._cloud.contracts.values(), but=contract.id)
        if held + contract.num_gpus > host.gpus:
            contract.start_queued = True
            self.put(contract)
            return False
        contract.start_queued = False
        self.put(contract, intended_status="running", next_state="running", cur_state="running")
        self._move(contract, self._start(contract))
        return True

    def reboot(self, contract: Contract) -> None:
        self.put(contract, intended_status="running", next_state="running", cur_state="running")
        self._move(contract, self._reboot(contract, wipe=False))

    def recycle(self, contract: Contract) -> None:
        self.put(contract, intended_status="running", next_state="running", cur_state="running")
        self._move(contract, self._reboot(contract, wipe=True))

    def destroy(self, contract: Contract) -> None:
        self.put(contract, next_state="destroyed", intended_status="stopped", cur_state="unloaded")
        self._move(contract, self._end(contract, "destroyed", self._cloud.settings.clocks.destroying))

    async def kill(self, contract: Contract) -> None:
        """The host has lost it: gone at once, from listings too."""
        self._move(contract, self._end(contract, "killed", 0.0))
        await asyncio.shield(self._moves[contract.id])

    def resume(self) -> None:
        """After the simulator's own restart: boot what ran, finish what was being destroyed."""
        for contract in self._cloud.living():
            if contract.next_state == "destroyed":
                self.destroy(contract)
            elif contract.intended_status == "running" and contract.actual_status != "exited":
                again = contract.booted_at is not None
                self._move(contract, self._boot(contract) if again else self._first_boot(contract))
            elif contract.intended_status == "stopped" and contract.actual_status not in (None, "exited", "stopped"):
                self.stop(contract)

    async def close(self) -> None:
        """Stop every machine for good, keeping rows and files."""
        for task in [*self._moves.values(), *self._endings]:
            task.cancel()
        await asyncio.gather(*self._moves.values(), *self._endings, return_exceptions=True)
        await asyncio.gather(*(machine.stop(hard=True) for machine in self._cloud.fleet.all()))

    def put(self, contract: Contract, **changes: Any) -> None:
        """Change a contract's row: meters follow, and it is on disk when this returns."""
        for name, value in changes.items():
            setattr(contract, name, value)
        ledger.settle(contract, time.time())
        self._cloud.keep(contract)

    def _move(self, contract: Contract, move: Coroutine[Any, Any, None]) -> None:
        old = self._moves.get(contract.id)

        async def replace() -> None:
            if old and not old.done():
                old.cancel()
                await asyncio.wait({old})
            try:
                await move
            except Exception:
                logger.exception("machine %s: a transition failed", contract.id)
                raise

        task = self._moves[contract.id] = asyncio.create_task(replace())
        task.add_done_callback(lambda _: move.close())  # a move that was replaced before it began

    async def _first_boot(self, contract: Contract) -> None:
        clocks = self._cloud.settings.clocks
        await asyncio.sleep(clocks.null)
        self.put(contract, actual_status="created")
        await asyncio.sleep(clocks.created)
        await self._pull(contract)
        text = f"{contract.label} {contract.image} {contract.gpu_name} {contract.id}"
        fault = self._cloud.faults.fire_machine("boot", text)
        if fault == "never_boots":
            await self._pull_for_ever(contract)
        elif fault == "exits" or contract.doomed:
            message = OUT_OF_GPUS if contract.doomed else "Error response from daemon: container exited at once"
            self.put(contract, actual_status="exited", status_msg=message)
        else:
            await self._boot(contract)

    async def _pull(self, contract: Contract) -> None:
        seconds = random.uniform(*self._cloud.settings.clocks.loading)  # noqa: S311 (a simulation)
        for line in PULL:
            layer = f"{random.randrange(16**12):012x}"  # noqa: S311 (a simulation)
            text = line.format(image=contract.image, layer=layer)
            self.put(contract, actual_status="loading", status_msg=text)
            await asyncio.sleep(seconds / len(PULL))

    async def _pull_for_ever(self, contract: Contract) -> None:
        for attempt in range(1_000_000):
            wait = min(60, 5 * (attempt + 1))
            self.put(contract, actual_status="loading", status_msg=f"a3ed95caeb02: Retrying in {wait} seconds")
            await asyncio.sleep(self._cloud.settings.clocks.loading[1])

    async def _boot(self, contract: Contract) -> None:
        clocks, cloud = self._cloud.settings.clocks, self._cloud
        machine = cloud.machine(contract)
        machine.box.on_exit = lambda: self._exited(contract, machine)
        text = f"{contract.label} {contract.image} {contract.gpu_name} {contract.id}"
        refused = cloud.faults.fire_machine("sshd", text) == "refuses"
        host = cloud.hosts[contract.machine_id]
        spec = order(contract, host, cloud.keys_of(contract), cloud.settings.auto_tmux)
        try:
            await machine.boot(
                spec, sshd_after=None if refused else clocks.sshd, ports_after=clocks.ports,
                ways_out=cloud.settings.way_out,
            )  # fmt: skip
        except BootFailed as error:
            self.put(contract, actual_status="exited", status_msg=f"Error response from daemon: {error}")
            return
        mode = "args" if contract.runtype == "args" else "ssh"
        message = f"success, running {contract.image}/{mode}"
        self.put(contract, actual_status="running", status_msg=message, booted_at=time.time())

    def _exited(self, contract: Contract, machine: Machine) -> None:
        """The container ended by itself: that is what it shows, and docker does not start it again here."""
        self.put(contract, actual_status="exited", status_msg="container exited")
        ending = asyncio.create_task(machine.unplug())
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def _stop(self, contract: Contract) -> None:
        if contract.actual_status == "running":
            self.put(contract, actual_status="stopping")
            await asyncio.sleep(self._cloud.settings.clocks.stopping)
        await self._halt(contract)
        self.put(contract, actual_status="exited", cur_state="stopped", status_msg="")

    async def _start(self, contract: Contract) -> None:
        clocks = self._cloud.settings.clocks
        await asyncio.sleep(clocks.start_lag)
        if contract.booted_at is None:
            await self._first_boot(contract)
            return
        self.put(contract, actual_status="loading", status_msg="")
        await asyncio.sleep(clocks.starting)
        await self._boot(contract)

    async def _reboot(self, contract: Contract, wipe: bool) -> None:
        self.put(contract, actual_status="rebooting")
        await self._halt(contract)
        if wipe:
            self._cloud.fleet.forget(contract.id)
        await asyncio.sleep(self._cloud.settings.clocks.rebooting)
        await self._boot(contract)

    async def _end(self, contract: Contract, ending: Ending, after: float) -> None:
        await asyncio.sleep(after)
        await self._halt(contract, hard=True)
        now = time.time()
        self.put(contract, ending=ending, ended_at=now, cur_state="unloaded", start_queued=False)
        self._cloud.fleet.forget(contract.id)

    async def _halt(self, contract: Contract, *, hard: bool = False) -> None:
        machine = self._cloud.fleet.known(contract.id)
        if machine:
            with contextlib.suppress(ProcessLookupError):
                await machine.stop(hard=hard)
