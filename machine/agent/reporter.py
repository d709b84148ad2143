"""Sends reports to the control plane, or leaves them in a file where it can fetch them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from typing import Any

from machine.agent import log, terminals, wire
from machine.agent.settings import FOLDER, Settings

LEFT = os.path.join(FOLDER, "report.json")
"""The report that could not be delivered. The control plane may fetch it over SSH, and then removes the file."""
LONGEST_PAUSE, REFUSED_PAUSE = 60.0, 300.0
"""Longest pause between tries without an answer, and when refused (our lease is over, or not yet known)."""


class Reporter:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = f"{settings.base_url.rstrip('/')}/api/v1/agent/status" if settings.base_url else ""
        self._failures = 0
        self._next_at = 0.0
        self._left = False

    def is_due(self) -> bool:
        return time.monotonic() >= self._next_at

    def fetched(self) -> bool:
        """Whether the report that was left has been fetched."""
        if not self._left or os.path.exists(LEFT):
            return False
        self._left = False
        return True

    def deliver(self, report: dict[str, Any]) -> bool:
        """Whether the control plane has it now. If not, it is left on the disk."""
        self._next_at = time.monotonic() + self._settings.interval * 0.9
        if self._url and self._post(report):
            self._failures = 0
            self._forget_left()
            return True
        self._leave(report)
        return False

    def _post(self, report: dict[str, Any]) -> bool:
        try:
            status, answer = wire.send("POST", self._url, self._settings.token, report)
        except wire.NoAnswer as error:
            self._back_off(f"nobody answers: {error}", LONGEST_PAUSE)
            return False
        if status >= 300:
            self._back_off(f"refused with {status}", REFUSED_PAUSE if status in (401, 403) else LONGEST_PAUSE)
            return False
        if isinstance(answer, dict):
            self._obey(answer)
        return True

    def _obey(self, answer: dict[str, Any]) -> None:
        """Do what is harmless: show a message on the terminals. Any other request is only logged."""
        action, message = str(answer.get("action") or "none"), str(answer.get("message") or "")[:500]
        if action == "prepare_hibernate" and message:
            terminals.say(message)
        elif action != "none":
            log.note(f"asked to {action[:40]}: left to the control plane")

    def _back_off(self, why: str, longest: float) -> None:
        if self._failures in (0, 10) or self._failures % 100 == 0:
            log.note(f"{why} (try {self._failures + 1})")
        self._failures += 1
        pause = min(longest, self._settings.interval * 2 ** min(self._failures, 10))
        self._next_at = time.monotonic() + pause * random.uniform(0.7, 1.0)  # noqa: S311 - not a secret

    def _leave(self, report: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            with open(f"{LEFT}.new", "w") as file:
                json.dump(report, file)
            os.replace(f"{LEFT}.new", LEFT)
            self._left = True

    def _forget_left(self) -> None:
        self._left = False
        with contextlib.suppress(OSError):
            os.remove(LEFT)
