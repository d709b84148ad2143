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

from domain.machines.labels import parse_label


class Listed(BaseModel):
    """A machine as the account lists it."""

    cloud_id: int
    label: str | None
    is_stopped: bool = False


class KnownLease(BaseModel):
    """What the ledger says of one label."""

    is_open: bool
    cloud_id: int | None
    """None while the answer to the rent request is not known: then any machine with the label may be the one."""


class Verdict(StrEnum):
    RELEASE = "release"
    UNKNOWN = "unknown"


class Suspect(BaseModel):
    """A machine with our label that no open lease accounts for."""

    cloud_id: int
    label: str
    verdict: Verdict
    is_stopped: bool = False


class Sighting(BaseModel):
    """What earlier sweeps noted of a suspect."""

    verdict: Verdict
    first_seen_at: datetime
    stopped_at: datetime | None = None
    permitted_until: datetime | None = None
    """A person has looked at it, and allows the next step until then."""


class Policy(BaseModel):
    apart: timedelta = timedelta(seconds=30)
    grace: timedelta = timedelta(days=1)


class Action(StrEnum):
    DESTROY = "destroy"
    STOP = "stop"


class Sentence(BaseModel):
    """What is to be done with one machine; whoever carries it out looks once more before."""

    cloud_id: int
    label: str
    action: Action


def suspects(listed: Sequence[Listed], leases: Mapping[str, KnownLease], ours: Collection[str]) -> list[Suspect]:
    """The machines of this installation that no open lease accounts for. Everything else is not ours to touch.

    `ours`: our installation's id, and those of gone ones that it has adopted.
    """
    found = []
    for machine in listed:
        label = parse_label(machine.label)
        if label is None or label.installation_id not in ours:
            continue
        verdict = _verdict(machine, leases.get(str(label)))
        if verdict is not None:
            found.append(
                Suspect(cloud_id=machine.cloud_id, label=str(label), verdict=verdict, is_stopped=machine.is_stopped)
            )
    return found


def _verdict(machine: Listed, lease: KnownLease | None) -> Verdict | None:
    if lease is None:
        return Verdict.UNKNOWN
    if lease.is_open and lease.cloud_id in (None, machine.cloud_id):
        return None
    return Verdict.RELEASE


def sentences(
    found: Sequence[Suspect], sightings: Mapping[int, Sighting], now: datetime, policy: Policy
) -> list[Sentence]:
    """What to do now: only about suspects that were under the same suspicion in an earlier listing, long enough ago."""
    return [
        Sentence(cloud_id=suspect.cloud_id, label=suspect.label, action=action)
        for suspect in found
        if (action := _action(suspect, sightings.get(suspect.cloud_id), now, policy)) is not None
    ]


def _action(suspect: Suspect, sighting: Sighting | None, now: datetime, policy: Policy) -> Action | None:
    if sighting is None or sighting.verdict is not suspect.verdict or now - sighting.first_seen_at < policy.apart:
        return None
    if suspect.verdict is Verdict.RELEASE:
        return Action.DESTROY
    if sighting.stopped_at is not None and now - sighting.stopped_at >= policy.grace:
        return Action.DESTROY
    return None if suspect.is_stopped and sighting.stopped_at is not None else Action.STOP


def brake(live_leases: int) -> int:
    """How many machines one sweep may act on without a person's word."""
    return max(3, math.ceil(live_leases / 10))


def braked(
    judged: Sequence[Sentence], sightings: Mapping[int, Sighting], now: datetime, live_leases: int
) -> list[Sentence]:
    """What one sweep may really do: all, or, when that is too much, what a person has looked at and allowed."""
    allowed = [sentence for sentence in judged if _is_permitted(sightings.get(sentence.cloud_id), now)]
    by_itself = len(judged) - len(allowed)
    return list(judged) if by_itself <= brake(live_leases) else allowed


def _is_permitted(sighting: Sighting | None, now: datetime) -> bool:
    return sighting is not None and sighting.permitted_until is not None and now < sighting.permitted_until
