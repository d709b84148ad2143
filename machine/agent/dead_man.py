"""The dead-man's switch: a machine that lost its control plane stops itself, but not while it works.

A stop keeps the files and is undone by a start; nothing is ever destroyed from here.
"""

from __future__ import annotations

import contextlib
import json
import os
import time

from machine.agent import container, wire
from machine.agent.settings import FOLDER, Settings

CONTACT = os.path.join(FOLDER, "contact.json")
NOTED_EVERY = 60.0
"""Seconds between writings of the last contact: a restart of the agent forgets no more."""
TRIED_EVERY = 300.0


def reason(silent: float, idle: float, settings: Settings) -> str:
    """The reason to stop the machine now; empty: there is none. Times in seconds."""
    if silent >= settings.dead_man_busy:
        return f"no contact for {silent:.0f} s: stopping whatever runs here"
    if silent >= settings.dead_man and idle >= settings.dead_man_idle:
        return f"no contact for {silent:.0f} s and nothing done here for {idle:.0f} s"
    return ""


class DeadMan:
    """Knows when we last had contact, across restarts of the agent but not of the container."""

    def __init__(self, settings: Settings, file: str = CONTACT) -> None:
        self._settings, self._file = settings, file
        self._noted_at = self._tried_at = float("-inf")
        self._contact_at = time.monotonic() - self._silence_before()

    def contact(self) -> None:
        """The control plane answered."""
        self._contact_at = time.monotonic()
        if self._contact_at - self._noted_at >= NOTED_EVERY:
            self._noted_at = self._contact_at
            with contextlib.suppress(OSError), open(self._file, "w") as file:
                json.dump({"boot": container.boot_id(), "at": time.time()}, file)

    def check(self, idle: float) -> str:
        """Stop the machine if it is time to. What was done and why, in words; empty: nothing."""
        now = time.monotonic()
        why = reason(now - self._contact_at, idle, self._settings)
        if not why or not self._settings.cloud_url or now - self._tried_at < self._pause():
            return ""
        self._tried_at = now
        return f"dead-man's switch: {why}; {stop_myself(self._settings)}"

    def _pause(self) -> float:
        return min(TRIED_EVERY, self._settings.dead_man)

    def _silence_before(self) -> float:
        """What an earlier agent of this boot noted; never more than the boot is old, whatever the clock says."""
        try:
            with open(self._file) as file:
                noted = json.load(file)
            if noted["boot"] == container.boot_id():
                return min(max(0.0, time.time() - float(noted["at"])), container.boot_age())
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return 0.0


def stop_myself(settings: Settings) -> str:
    """Ask the cloud to stop this machine, with the key that the cloud gave it for itself (read now: it rotates)."""
    here, platform = container.environment(), settings.platform
    own_id, key = here.get(platform.id, ""), here.get(platform.key, "")
    if not own_id or not key or not platform.stop_path:
        return "this machine has no key to stop itself with"
    try:
        url = settings.cloud_url.rstrip("/") + platform.stop_path.replace("{id}", own_id)
        status, _ = wire.send("PUT", url, key, platform.stop_body, deadline=30.0)
    except wire.NoAnswer as error:
        return f"the cloud does not answer ({error})"
    return "asked the cloud to stop this machine" if status < 300 else f"the cloud refused with {status}"
