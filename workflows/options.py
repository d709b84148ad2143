"""Every timeout and retry policy, named for when to use it. Nothing else spells a RetryPolicy."""

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy


class Options(TypedDict, total=False):
    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    retry_policy: RetryPolicy


class Outside(Options, total=False):
    """For activities that call the outside; local ones cannot have a heartbeat."""

    heartbeat_timeout: timedelta


MISSED_AFTER = timedelta(seconds=6)
"""Activities beat by themselves (activities/heartbeats.py): one whose worker died is tried again after this."""


def _outside(attempt: timedelta, *, first: float, longest: float) -> Outside:
    """One attempt may take `attempt`; between attempts `first` seconds, then longer, up to `longest`."""
    between = RetryPolicy(initial_interval=timedelta(seconds=first), maximum_interval=timedelta(seconds=longest))
    return {"start_to_close_timeout": attempt, "heartbeat_timeout": MISSED_AFTER, "retry_policy": between}


RECORD: Options = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5)),
}
"""Our own database or Temporal: short, retried until it is back."""

SWEEP = _outside(timedelta(minutes=2), first=0.2, longest=5.0)
"""Going through all open rows: after a lost Temporal database, a thousand workflows are started, 15 ms each."""

CLOUD = _outside(timedelta(seconds=60), first=1.0, longest=30.0)
"""Requests to a cloud. `NotYet` says itself when to come back; the backoff is for what nobody foresaw."""

SHELL = _outside(timedelta(seconds=60), first=0.5, longest=10.0)
"""Commands on a machine over SSH."""

BRING = _outside(timedelta(minutes=15), first=1.0, longest=30.0)
"""Programs brought to a machine, or installed there from wherever its system gets them."""

FOLLOW = _outside(timedelta(minutes=12), first=0.5, longest=10.0)
"""Watching a script that runs, minutes at a time: never given up for the machine's silence alone."""

COLLECT = _outside(timedelta(hours=6), first=1.0, longest=30.0)
"""Fetching files of any size; a transfer that stands still fails by itself."""

COPY = _outside(timedelta(days=2), first=0.5, longest=10.0)
"""A snapshot or a restore: as long as something moves. That nothing does any more is noticed on the machine."""

WATCH = _outside(timedelta(seconds=60), first=1.0, longest=60.0)
"""Looking at our own rows again and again; each look says itself when the next one is due."""

VAULT = _outside(timedelta(hours=1), first=1.0, longest=30.0)
"""Our own side of the vault: it reads and compares, and what it reads may lie far away."""

RELEASE = _outside(timedelta(seconds=120), first=1.0, longest=60.0)
"""Giving a machine back: never given up."""


def within(options: Outside, limit: timedelta) -> Outside:
    """The same, but all attempts together may take no longer than `limit`."""
    return {**options, "schedule_to_close_timeout": max(limit, timedelta(seconds=1))}
