"""How far a change of an instance is, by what the lease of its machine says."""

from domain.instances.phases import InstanceStatus
from domain.machines.phases import LeaseState

BEGUN = 5

_COMING: dict[LeaseState | None, int] = {
    LeaseState.RESERVED: 10,
    LeaseState.ASKED: 20,
    LeaseState.RENTED: 40,
    LeaseState.RUNNING: 95,
}
_GOING: dict[LeaseState | None, int] = {LeaseState.RUNNING: 20, LeaseState.RELEASING: 60, LeaseState.CLOSED: 95}
_PAUSING: dict[LeaseState | None, int] = {LeaseState.RUNNING: 30, LeaseState.STOPPING: 80, LeaseState.STOPPED: 95}
_RESUMING: dict[LeaseState | None, int] = _COMING | {
    LeaseState.STOPPED: 10,
    LeaseState.STARTING: 50,
    LeaseState.RUNNING: 80,
}
_HIBERNATING: dict[LeaseState | None, int] = {
    LeaseState.STOPPED: 40,
    LeaseState.RELEASING: 70,
    LeaseState.CLOSED: 95,
}
_PROGRESS: dict[InstanceStatus, dict[LeaseState | None, int]] = {
    InstanceStatus.PROVISIONING: _COMING,
    InstanceStatus.STARTING: _COMING,
    InstanceStatus.DESTROYING: _GOING,
    InstanceStatus.PAUSING: _PAUSING,
    InstanceStatus.RESUMING: _RESUMING,
    InstanceStatus.HIBERNATING: _HIBERNATING,
}


def progress_of(status: InstanceStatus, lease: LeaseState | None) -> int | None:
    """Percent done of a change that is under way; None when none is."""
    return _PROGRESS[status].get(lease, BEGUN) if status in _PROGRESS else None
