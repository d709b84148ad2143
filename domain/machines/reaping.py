"""What to make of the machines that an account holds: a pure judgement over one complete listing and all our leases.

The rules of design section 5.5: only what carries our exact label is ours to judge; a verdict needs two listings some
time apart; what has a closed lease is released; what has no lease row is stopped and told of, and destroyed a day
later; and too many at once means that we are wrong ourselves, so nothing is done but an alarm.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel

from domain.ids import CloudId
from domain.machines.labels import Label


class Listed(BaseModel):
    """A machine as the account lists it."""

    cloud_id: CloudId
    label: Label | None
    is_stopped: bool = False


class KnownLease(BaseModel):
    """What the ledger says of one label."""

    is_open: bool
    cloud_id: CloudId | None
    """None while the answer to the rent request is not known: then any machine with the label may be the one."""


class Finding(StrEnum):
    RELEASE = "release"
    UNKNOWN = "unknown"


class Candidate(BaseModel):
    """A machine with our label that no open lease accounts for."""

    cloud_id: CloudId
    label: str
    finding: Finding
    is_stopped: bool = False


class Sighting(BaseModel):
    """What earlier sweeps noted of a suspect."""

    finding: Finding
    first_seen_at: datetime
    stopped_at: datetime | None = None
    permitted_until: datetime | None = None
    """A person has looked at it, and allows the next step until then."""


class Policy(BaseModel):
    apart: timedelta = timedelta(seconds=30)
    grace: timedelta = timedelta(days=1)
    stops: bool = True
    """The cloud can stop a machine; where it cannot, what would be stopped is only told of."""


class ReapAction(StrEnum):
    DESTROY = "destroy"
    STOP = "stop"


class ActionRequest(BaseModel):
    """What is to be done with one machine; whoever carries it out looks once more before."""

    cloud_id: CloudId
    label: str
    action: ReapAction


def candidates(listed: Sequence[Listed], leases: Mapping[str, KnownLease], ours: Collection[str]) -> list[Candidate]:
    """The machines of this installation that no open lease accounts for. Everything else is not ours to touch.

    `ours`: our installation's id, and those of gone ones that it has adopted.
    """
    found = []
    for machine in listed:
        label = machine.label
        if label is None or label.installation_id not in ours:
            continue
        finding = _finding(machine, leases.get(str(label)))
        if finding is not None:
            found.append(
                Candidate(cloud_id=machine.cloud_id, label=str(label), finding=finding, is_stopped=machine.is_stopped)
            )
    return found


def _finding(machine: Listed, lease: KnownLease | None) -> Finding | None:
    if lease is None:
        return Finding.UNKNOWN
    if lease.is_open and lease.cloud_id in (None, machine.cloud_id):
        return None
    return Finding.RELEASE


def action_requests(
    found: Sequence[Candidate], sightings: Mapping[str, Sighting], now: datetime, policy: Policy
) -> list[ActionRequest]:
    """What to do now: only about suspects that were under the same suspicion in an earlier listing, long enough ago."""
    return [
        ActionRequest(cloud_id=candidate.cloud_id, label=candidate.label, action=action)
        for candidate in found
        if (action := _action(candidate, sightings.get(candidate.cloud_id), now, policy)) is not None
    ]


def _action(candidate: Candidate, sighting: Sighting | None, now: datetime, policy: Policy) -> ReapAction | None:
    if sighting is None or sighting.finding is not candidate.finding or now - sighting.first_seen_at < policy.apart:
        return None
    if candidate.finding is Finding.RELEASE:
        return ReapAction.DESTROY
    if sighting.stopped_at is not None and now - sighting.stopped_at >= policy.grace:
        return ReapAction.DESTROY
    is_done = candidate.is_stopped or not policy.stops
    return None if is_done and sighting.stopped_at is not None else ReapAction.STOP


def safety_limit(live_leases: int) -> int:
    """How many machines one sweep may act on without a person's word."""
    return max(3, math.ceil(live_leases / 10))


def within_safety_limit(
    judged: Sequence[ActionRequest], sightings: Mapping[str, Sighting], now: datetime, live_leases: int
) -> list[ActionRequest]:
    """What one sweep may really do: all, or, when that is too much, what a person has looked at and allowed."""
    allowed = [
        action_request for action_request in judged if _is_permitted(sightings.get(action_request.cloud_id), now)
    ]
    by_itself = len(judged) - len(allowed)
    return list(judged) if by_itself <= safety_limit(live_leases) else allowed


def _is_permitted(sighting: Sighting | None, now: datetime) -> bool:
    return sighting is not None and sighting.permitted_until is not None and now < sighting.permitted_until
