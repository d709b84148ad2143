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

RECORD: Options = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5)),
}
"""Our own database or Temporal: short, retried until it is back."""

CLOUD: Outside = {
    "start_to_close_timeout": timedelta(seconds=60),
    "heartbeat_timeout": MISSED_AFTER,
    "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
}
"""Requests to a cloud. `NotYet` says itself when to come back; the backoff is for what nobody foresaw."""

SHELL: Outside = {
    "start_to_close_timeout": timedelta(seconds=60),
    "heartbeat_timeout": MISSED_AFTER,
    "retry_policy": RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10)),
}
"""Commands on a machine over SSH."""

FOLLOW: Outside = {
    "start_to_close_timeout": timedelta(minutes=12),
    "heartbeat_timeout": MISSED_AFTER,
    "retry_policy": RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10)),
}
"""Watching a script that runs, minutes at a time: never given up for the machine's silence alone."""

COLLECT: Outside = {
    "start_to_close_timeout": timedelta(hours=6),
    "heartbeat_timeout": MISSED_AFTER,
    "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
}
"""Fetching files of any size; a transfer that stands still fails by itself."""

COPY: Outside = {
    "start_to_close_timeout": timedelta(days=2),
    "heartbeat_timeout": MISSED_AFTER,
    "retry_policy": RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10)),
}
"""A snapshot or a restore: as long as something moves. That nothing does any more is noticed on the machine."""

VAULT: Outside = {
    "start_to_close_timeout": timedelta(hours=1),
    "heartbeat_timeout": MISSED_AFTER,
    "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
}
"""Our own side of the vault: it reads and compares, and what it reads may lie far away."""

RELEASE: Outside = {
    "start_to_close_timeout": timedelta(seconds=120),
    "heartbeat_timeout": MISSED_AFTER,
    "retry_policy": RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)),
}
"""Giving a machine back: never given up."""


def within(options: Outside, limit: timedelta) -> Outside:
    """The same, but all attempts together may take no longer than `limit`."""
    return {**options, "schedule_to_close_timeout": max(limit, timedelta(seconds=1))}
