"""Failpoints: named places in our own code where a drill may stop a process, so that each moment is really hit.

Nothing happens at one unless a handler is installed: in production none is. With `DUMONT_FAILPOINTS_DIR` set, a file
named like the failpoint says what to do when the next process gets there: `kill` (SIGKILL) or `stop` (SIGSTOP). The
file is renamed to `<failpoint>.reached` first, so each order is carried out once and a drill can wait for it.
"""

import os
import signal
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path


class Failpoint(StrEnum):
    """Every point, in the order of a machine's life."""

    DEPLOY_COMMITTED = "deploy-committed"
    INSTANCE_COMMITTED = "instance-committed"
    MACHINE_STARTED = "machine-started"
    INSTANCE_RECORDED = "instance-recorded"
    RENT_BEGUN = "rent-begun"
    RENT_MARKED = "rent-marked"
    RENT_ANSWERED = "rent-answered"
    RENT_RECORDED = "rent-recorded"
    WATCH_LISTED = "watch-listed"
    WATCH_TOLD = "watch-told"
    PROBE_LOGGED_IN = "probe-logged-in"
    PROBE_RECORDED = "probe-recorded"
    SERVER_STARTED = "server-started"
    MODEL_HEALTHY = "model-healthy"
    PUBLISHED = "published"
    SERVER_DOWN = "down-recorded"
    RESERVED_AGAIN = "reserved-again"
    STOP_MARKED = "stop-marked"
    STOP_ASKED = "stop-asked"
    START_MARKED = "start-marked"
    START_ASKED = "start-asked"
    POWER_REQUESTED = "power-requested"
    DATA_MACHINE_RECORDED = "data-machine-recorded"
    REQUEST_RELEASE = "release-requested"
    SNAPSHOT_BEGUN = "snapshot-begun"
    SNAPSHOT_SENT = "snapshot-sent"
    SNAPSHOT_RECORDED = "snapshot-recorded"
    SNAPSHOT_VERIFIED = "snapshot-verified"
    RESTORED = "restored"
    RELEASE_BEGUN = "release-begun"
    RELEASE_ASKED = "release-asked"
    RELEASE_CONFIRMED = "release-confirmed"
    RELEASE_RECORDED = "release-recorded"
    JOB_COMMITTED = "job-committed"
    JOB_ADMITTED = "job-admitted"
    JOB_BEGUN = "job-begun"
    JOB_STARTED = "job-started"
    JOB_OUTPUT_KEPT = "job-output-kept"
    JOB_STOP_ASKED = "job-stop-asked"
    JOB_ENDED = "job-ended"
    JOB_COLLECTING = "job-collecting"
    JOB_STORED = "job-stored"
    JOB_COLLECTED = "job-collected"
    JOB_RELEASE_REQUESTED = "job-release-requested"
    JOB_CONCLUDED = "job-concluded"
    PARK = "parked"
    UNPARKED = "unparked"
    CHECKPOINT_BEGUN = "checkpoint-begun"


Handler = Callable[[Failpoint], Awaitable[None]]
_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
_installed: list[Handler] = []


async def hit(point: Failpoint) -> None:
    for handler in _installed:
        await handler(point)


def install(handler: Handler | None) -> None:
    """At most one handler a process; None takes it away."""
    _installed[:] = [] if handler is None else [handler]


def obey_files(folder: Path) -> Handler:
    """The handler that carries out orders left as files."""

    async def obey(point: Failpoint) -> None:
        order = folder / point.value
        try:
            order.rename(folder / f"{point.value}.reached")
        except FileNotFoundError:
            return
        word = (folder / f"{point.value}.reached").read_text().strip()
        os.kill(os.getpid(), _SIGNALS[word])

    return obey
