"""`python3 -I -S agent.pyz`: the agent's life. Ends with 0 when it was told to, or when another agent runs."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from typing import Any

from machine.agent import VERSION, lock, log
from machine.agent.dead_man import DeadMan
from machine.agent.reporter import Reporter
from machine.agent.settings import read
from machine.agent.watcher import Watcher


def main() -> None:
    held = lock.hold()
    if held is None:
        return
    signal.signal(signal.SIGTERM, _end)
    try:
        _live()
    except Exception:
        log.note(traceback.format_exc(limit=5))
        raise


def _live() -> None:
    """Report at once, since somebody may wait for this machine, and then at every interval."""
    settings = read()
    log.note(f"agent {VERSION} of instance {settings.instance_id} begins")
    watcher, reporter, switch = Watcher(settings), Reporter(settings), DeadMan(settings)
    while True:
        if reporter.fetched():
            watcher.heard()
            switch.contact()
        if reporter.is_due() and reporter.deliver(watcher.report()):
            watcher.heard()
            switch.contact()
        if did := switch.check(watcher.idle_seconds()):
            log.note(did)
        time.sleep(settings.interval)
        watcher.look()


def _end(*_: Any) -> None:
    sys.exit(0)


main()
