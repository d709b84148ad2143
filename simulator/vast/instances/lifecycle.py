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

from simulator.machines.machine import Machine
from simulator.vast import ledger
from simulator.vast.cloud import Cloud
from simulator.vast.instances.boots import Boots
from simulator.vast.instances.ports import reassign_ports
from simulator.vast.market.bidding import standing
from simulator.vast.notifications import state_notifications
from simulator.vast.records import Contract, Ending

logger = logging.getLogger(__name__)
RUN = {"intended_status": "running", "next_state": "running", "cur_state": "running"}
STOPPED = {"intended_status": "stopped", "next_state": "stopped", "cur_state": "stopped"}


class Lifecycle:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._boots = Boots(cloud, self.put, self._exited)
        self._moves: dict[int, asyncio.Task[None]] = {}
        self._endings: set[asyncio.Task[None]] = set()

    def create(self, contract: Contract) -> None:
        self._cloud.notifications.tell("client:instance_created", contract)
        if contract.intended_status == "running":
            self._move(contract, self._boots.first(contract))

    def stop(self, contract: Contract) -> None:
        contract.start_queued = contract.outbid = False
        if contract.fails == "odd_status":
            contract.shown_as.pop("actual_status", None)
        self.put(contract, intended_status="stopped", next_state="stopped")
        self._move(contract, self._stop(contract))

    def start(self, contract: Contract) -> bool:
        """Start again, or queue it when its GPUs are gone (False): a queued start fires when they are back."""
        if not self.may_run(contract):
            self.put(contract, start_queued=True)
            return False
        if contract.intended_status == "running" and self._moving(contract):
            return True  # asked again while it starts: that hurries nobody
        self.put(contract, start_queued=False, outbid=False, fails=self._boots.start_fault(contract), **RUN)
        self._move(contract, self._start(contract))
        return True

    def _moving(self, contract: Contract) -> bool:
        move = self._moves.get(contract.id)
        return move is not None and not move.done()

    def may_run(self, contract: Contract) -> bool:
        """Are there GPUs for it, and is its bid good enough?"""
        host = self._cloud.hosts[contract.machine_id]
        if contract.is_bid and contract.dph_base < self._cloud.offers[contract.offer_id].min_bid:
            return False
        in_time = contract.free_from <= time.time() < host.end_date
        return in_time and standing(host, self._cloud.living()).place_for(contract)

    def outbid(self, contract: Contract) -> None:
        """Others pay more: stopped within seconds, without a word to the machine but the container's stop."""
        self.put(contract, outbid=True, **STOPPED)
        self._cloud.notifications.tell("client:outbid", contract)
        self._move(contract, self._stop(contract))

    def reboot(self, contract: Contract, *, wipe: bool = False) -> None:
        """``wipe`` makes it a recycle: the container is made anew from its image."""
        self.put(contract, **RUN)
        self._move(contract, self._reboot(contract, wipe))

    def lose_sight(self, contract: Contract) -> None:
        """The host is offline: the machine may run on, but nobody reaches it and its GPU is not charged."""
        if contract.intended_status == "running" and contract.actual_status != "offline":
            self._cloud.notifications.tell("client:instance_offline", contract)
            self._move(contract, self._lose_sight(contract))

    def see_again(self, contract: Contract) -> None:
        """The host is back: what still runs shows again, and what was asked for meanwhile is done."""
        if contract.actual_status == "offline":
            self._cloud.notifications.tell("client:instance_online", contract)
            stopped = contract.intended_status == "stopped"
            self._move(contract, self._stop(contract) if stopped else self._see_again(contract))

    def destroy(self, contract: Contract) -> None:
        self.put(contract, next_state="destroyed", intended_status="stopped", cur_state="unloaded")
        clocks = self._cloud.settings_of(contract.account_id).clocks
        self._move(contract, self._end(contract, "destroyed", clocks.destroying))

    async def end(self, contract: Contract, ending: Ending) -> None:
        """The host has lost it, or its time is over: gone at once, from listings too.

        Returns when that is done, or when another wish has taken its place: its cancellation is not the caller's.
        """
        self._move(contract, self._end(contract, ending, 0.0))
        await asyncio.wait({self._moves[contract.id]})

    def resume(self) -> None:
        """After the simulator's own restart: boot what ran, finish what was being destroyed."""
        for contract in self._cloud.living():
            if contract.next_state == "destroyed":
                self.destroy(contract)
            elif self._cloud.hosts[contract.machine_id].offline:
                continue
            elif contract.intended_status == "running" and contract.actual_status != "exited":
                again = contract.booted_at is not None
                self._move(contract, self._boots.again(contract) if again else self._boots.first(contract))
            elif contract.intended_status == "stopped" and contract.actual_status not in (None, "exited", "stopped"):
                self._move(contract, self._stop(contract))

    async def close(self) -> None:
        """Stop every machine for good, keeping rows and files."""
        for task in [*self._moves.values(), *self._endings]:
            task.cancel()
        await asyncio.gather(*self._moves.values(), *self._endings, return_exceptions=True)
        await asyncio.gather(*(machine.stop(hard=True) for machine in self._cloud.fleet.all()))

    def put(self, contract: Contract, **changes: Any) -> None:
        """Change a contract's row: meters follow, and it is on disk when this returns."""
        before = contract.actual_status
        for name, value in changes.items():
            setattr(contract, name, value)
        ledger.settle(contract, time.time())
        self._cloud.keep(contract)
        for kind in state_notifications(before, contract.actual_status):
            self._cloud.notifications.tell(kind, contract)

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

    def _exited(self, contract: Contract, machine: Machine) -> None:
        """The container ended by itself: that is what it shows, and docker does not start it again here."""
        self.put(contract, actual_status="exited", status_msg="container exited")
        ending = asyncio.create_task(machine.unplug())
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def _stop(self, contract: Contract) -> None:
        if self._cloud.hosts[contract.machine_id].offline:
            return  # done when the host is back
        if contract.actual_status == "running":
            self.put(contract, actual_status="stopping")
            await asyncio.sleep(self._cloud.settings_of(contract.account_id).clocks.stopping)
        await self._halt(contract)
        self.put(contract, actual_status="exited", cur_state="stopped", status_msg="")

    async def _start(self, contract: Contract) -> None:
        clocks = self._cloud.settings_of(contract.account_id).clocks
        if contract.fails == "never_starts":
            return  # it reads exited for ever
        await asyncio.sleep(clocks.start_lag)
        if contract.fails == "half_started":
            self.put(contract, actual_status="loading", status_msg="", cur_state="stopped")
            return
        if contract.booted_at is None:
            await self._boots.first(contract)
            return
        self.put(contract, actual_status="loading", status_msg="")
        await asyncio.sleep(clocks.starting)
        if contract.fails is not None:
            await self._boots.fail(contract)
            return
        self._find_place(contract)
        await self._boots.again(contract)

    def _find_place(self, contract: Contract) -> None:
        """Where it answers from now on; its container is not told (clouds.md B3.3)."""
        moves, fleet = self._cloud.settings_of(contract.account_id).toggles.moves_on_start, self._cloud.fleet
        if moves == "no":
            return
        if moves == "address":
            contract.address = fleet.address(random.randrange(62_500))  # noqa: S311 (a simulation)
        reassign_ports(contract, fleet, self._cloud.living())
        self.put(contract)

    async def _reboot(self, contract: Contract, wipe: bool) -> None:
        self.put(contract, actual_status="rebooting")
        await self._halt(contract)
        if wipe:
            await asyncio.to_thread(self._cloud.fleet.forget, contract.id)
            self.put(contract, container_env={})
        await asyncio.sleep(self._cloud.settings_of(contract.account_id).clocks.rebooting)
        await self._boots.again(contract)

    async def _lose_sight(self, contract: Contract) -> None:
        self.put(contract, actual_status="offline")
        machine = self._cloud.fleet.known(contract.id)
        if machine:
            await machine.unplug()

    async def _see_again(self, contract: Contract) -> None:
        machine = self._cloud.fleet.known(contract.id)
        if machine and machine.box.running():
            await machine.plug(self._boots.doors(contract))
            self.put(contract, actual_status="running")
            return
        await self._halt(contract, hard=True)  # what was just being booted
        if contract.booted_at is None:
            await self._boots.first(contract)
        else:
            await self._boots.again(contract)

    async def _end(self, contract: Contract, ending: Ending, after: float) -> None:
        await asyncio.sleep(after)
        await self._halt(contract, hard=True)
        now = time.time()
        self.put(contract, ending=ending, ended_at=now, cur_state="unloaded", start_queued=False, outbid=False)
        await asyncio.to_thread(self._cloud.fleet.forget, contract.id)

    async def _halt(self, contract: Contract, *, hard: bool = False) -> None:
        machine = self._cloud.fleet.known(contract.id)
        if machine:
            with contextlib.suppress(ProcessLookupError):
                await machine.stop(hard=hard)
            self._cloud.count_traffic(contract, machine)
