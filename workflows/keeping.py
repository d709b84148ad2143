"""Holding a machine that has a user's files: it runs, is stopped and started again as its holder wishes."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.errors import Fault
    from activities.machines.agents import AgentActivities
    from activities.machines.power import PowerActivities, StartFailure
    from activities.machines.shell import ShellActivities
    from domain.machines.machines import MachineSeen
    from domain.machines.phases import LeaseState
    from domain.machines.power import Holding, next_holding
    from domain.workflow_contracts import LeaseView, MachineInput

from workflows.failures import fault_of, final, sentence_of
from workflows.options import BRING, CLOUD, RECORD, RELEASE, SHELL, within

INSTALLING, BRINGING = timedelta(minutes=5), timedelta(minutes=30)
LEAST_WAIT = timedelta(milliseconds=200)
RECORDS = {
    Holding.RECORD_STOPPED: PowerActivities.record_stopped,
    Holding.FOUND_STOPPED: PowerActivities.record_found_stopped,
    Holding.FOUND_RUNNING: PowerActivities.record_found_running,
}


class Machine(Protocol):
    """What is needed of the MachineWorkflow that holds it."""

    input: MachineInput
    lease: LeaseView
    moved_at: datetime
    beside: "asyncio.Task[None]"
    """What goes on beside everything else, best effort."""

    @property
    def last_seen(self) -> MachineSeen: ...
    async def look(self) -> None: ...
    async def watch(self) -> None: ...
    async def probe(self, deadline: datetime) -> None: ...
    async def await_change(self, until: datetime | None) -> None: ...
    async def tell_holder(self) -> None: ...
    def settles_at(self, latest: datetime | None) -> datetime | None: ...
    def seen_words(self) -> str: ...
    def say(self, message: str, state: LeaseState) -> None: ...


async def keep(machine: Machine, *, with_agent: bool = True) -> None:
    """Serve the holder until it lets go of the machine, or the machine is gone.

    `with_agent`: somebody works on it, so our agent watches there.

    Raises:
        FailureError: NOT_WANTED, MACHINE_LOST
    """
    await machine.look()
    machine.say("working", machine.lease.state)
    await machine.tell_holder()
    await machine.watch()
    if with_agent and machine.lease.state is LeaseState.RUNNING:
        machine.beside = asyncio.create_task(_equip(machine))  # nobody waits for it
    while True:
        holding = _next(machine)
        if holding is Holding.LOST:
            raise final(Fault.MACHINE_LOST, f"the machine was lost: {machine.seen_words()}")
        if holding is Holding.WAIT:
            await machine.await_change(_until(machine))
        else:
            await _carry_out(machine, holding)


def _next(machine: Machine) -> Holding:
    return next_holding(
        machine.lease.state,
        machine.lease.power,
        machine.last_seen,
        now=workflow.now(),
        patience=machine.input.patience,
        moved_at=machine.moved_at,
        stall=machine.input.stall,
        start_refused=machine.lease.start_refused,
    )


async def _carry_out(machine: Machine, holding: Holding) -> None:
    if holding is Holding.SWITCH_OFF:
        await _ask(machine, PowerActivities.switch_off, "stop it, keeping its disk")
    elif holding is Holding.SWITCH_ON:
        await _switch_on(machine)
    elif holding is Holding.PROBE:
        await _probe_again(machine)
    elif holding is Holding.GIVE_UP_START:
        await _give_up(machine, f"it showed no progress for {machine.input.stall}: {machine.seen_words()}")
    else:
        await workflow.execute_local_activity_method(RECORDS[holding], machine.input.lease_id, **RECORD)
    await machine.look()
    machine.say(holding.value.replace("_", " "), machine.lease.state)
    await machine.tell_holder()


async def _equip(machine: Machine) -> None:
    """Best effort: without an agent, everything on the machine counts as in use, and the agent is tried again later."""
    try:
        await workflow.execute_activity_method(
            AgentActivities.install_agent,
            machine.input.lease_id,
            summary="put our agent there",
            **within(SHELL, INSTALLING),
        )
        if workflow.patched("rsync-for-users"):
            await workflow.execute_activity_method(
                ShellActivities.bring_rsync,
                machine.input.lease_id,
                summary="have rsync there",
                **within(BRING, BRINGING),
            )
    except FailureError as error:
        workflow.logger.info("%s lacks an agent or rsync: %s", machine.input.lease_id, sentence_of(error))


async def _switch_on(machine: Machine) -> None:
    try:
        await _ask(machine, PowerActivities.switch_on, "start it again")
    except ActivityError as error:
        if fault_of(error) is not Fault.START_REFUSED:
            raise
        await _give_up(machine, sentence_of(error))


async def _ask(machine: Machine, switch: Callable[[PowerActivities, str], Awaitable[None]], summary: str) -> None:
    machine.moved_at = workflow.now()
    await workflow.execute_activity_method(switch, machine.input.lease_id, summary=summary, **CLOUD)
    await machine.watch()


async def _give_up(machine: Machine, reason: str) -> None:
    failure = StartFailure(lease_id=machine.input.lease_id, reason=reason)
    await workflow.execute_activity_method(
        PowerActivities.give_up_start, failure, summary="cancel the start, for good", **RELEASE
    )


async def _probe_again(machine: Machine) -> None:
    """SSH and the GPU have to work after a start too; what does not come up is given up like any start."""
    try:
        await machine.probe(machine.moved_at + machine.input.stall)
    except FailureError as error:
        if fault_of(error) is Fault.NOT_WANTED:
            raise
        await _give_up(machine, sentence_of(error))


def _until(machine: Machine) -> datetime | None:
    """When to judge anew though nothing was heard: a start that stalls, a stop without effect, a look believed."""
    settles = machine.settles_at(None)
    if machine.lease.state not in (LeaseState.STOPPING, LeaseState.STARTING):
        return settles
    wait = machine.input.stall if machine.lease.state is LeaseState.STARTING else machine.input.patience
    due = max(machine.moved_at + wait, workflow.now() + LEAST_WAIT)
    return due if settles is None else min(due, settles)
