"""What to do next with a machine that was handed over: it runs, it is stopped with its disk kept, or in between.

One pure decision over the lease and the last look at the machine, taken again after every change. A machine that keeps
files is lost only when it is gone: found stopped, its files are still there (a host's restart, an outbid, a hand in the
cloud's console), so it is kept stopped and its holder is told. Any other is lost as soon as it surely does not run.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from domain.machines.machines import MachineSeen, Seen, has_lasted, is_lost
from domain.machines.phases import LeaseState, Power

_NOT_RUNNING = (Seen.STOPPED, Seen.BROKEN)


class PowerStep(StrEnum):
    """The next thing to do with a machine that was handed over."""

    WAIT = "wait"
    LOST = "lost"
    SWITCH_OFF = "switch_off"
    SWITCH_ON = "switch_on"
    PROBE = "probe"
    RECORD_STOPPED = "record_stopped"
    FOUND_STOPPED = "found_stopped"
    FOUND_RUNNING = "found_running"
    GIVE_UP_START = "give_up_start"


def next_power_step(
    state: LeaseState,
    power: Power,
    seen: MachineSeen,
    *,
    now: datetime,
    patience: timedelta,
    moved_at: datetime,
    stall: timedelta,
    start_refused: bool,
    keeps_files: bool = True,
) -> PowerStep:
    """
    `patience`: how long a machine must look lost or stopped to be believed. `moved_at`: when something was last asked
    of it or seen to change; a start without any change for `stall` is given up, a stop without effect asked again.
    """
    due = overdue_at(state, seen, patience=patience, moved_at=moved_at, stall=stall)
    overdue = due is not None and due <= now
    if seen.state is Seen.ABSENT:
        return PowerStep.LOST if is_lost(seen, now, patience) else PowerStep.WAIT
    if state is LeaseState.RUNNING:
        if not keeps_files and power is Power.RUNNING and is_lost(seen, now, patience):
            return PowerStep.LOST
        return _running(power, seen, now, patience)
    if state is LeaseState.STOPPING:
        if seen.state in _NOT_RUNNING:
            return PowerStep.RECORD_STOPPED
        return _without_effect(power, start_refused) if overdue else PowerStep.WAIT
    if state is LeaseState.STOPPED:
        return _stopped(power, seen, start_refused, has_lasted(seen, now, patience))
    if state is LeaseState.STARTING:
        return _starting(power, seen, overdue)
    return PowerStep.WAIT


def overdue_at(
    state: LeaseState, seen: MachineSeen, *, patience: timedelta, moved_at: datetime, stall: timedelta
) -> datetime | None:
    """When a stop or a start has taken too long, if nothing is heard of it until then. None: neither is under way.

    A machine that says that it is stopping is given longer, but not for ever: some clouds forget it so.
    """
    if state is LeaseState.STOPPING:
        return moved_at + (stall if seen.state is Seen.STOPPING else patience)
    return moved_at + stall if state is LeaseState.STARTING else None


def _running(power: Power, seen: MachineSeen, now: datetime, patience: timedelta) -> PowerStep:
    if power is Power.STOPPED:
        return PowerStep.SWITCH_OFF
    found = seen.state in _NOT_RUNNING and has_lasted(seen, now, patience)
    return PowerStep.FOUND_STOPPED if found else PowerStep.WAIT


def _without_effect(power: Power, start_refused: bool) -> PowerStep:
    """A stop that nothing came of: asked again, or called off by a start when its holder wants it running by now."""
    return PowerStep.SWITCH_ON if power is Power.RUNNING and not start_refused else PowerStep.SWITCH_OFF


def _stopped(power: Power, seen: MachineSeen, start_refused: bool, lasted: bool) -> PowerStep:
    if power is Power.RUNNING and not start_refused:
        return PowerStep.SWITCH_ON
    if seen.state is not Seen.UP:
        return PowerStep.WAIT
    if start_refused:  # a start that we gave up and that was carried out after all is stopped again
        return PowerStep.SWITCH_OFF
    return PowerStep.FOUND_RUNNING if lasted else PowerStep.WAIT  # one stale look is nobody's doing


def _starting(power: Power, seen: MachineSeen, stalled: bool) -> PowerStep:
    if power is Power.STOPPED:
        return PowerStep.SWITCH_OFF
    if seen.state is Seen.UP:
        return PowerStep.PROBE
    return PowerStep.GIVE_UP_START if stalled else PowerStep.WAIT
