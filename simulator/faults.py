"""Faults on demand: each is bound to an endpoint, an nth call, a probability, a number of times and a duration."""

import asyncio
import contextlib
import itertools
import random
import time
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

BootFault = Literal[
    "never_boots", "exits", "stays_null", "stuck_created", "oci_error", "port_taken", "no_space", "image_not_found",
    "odd_status",
]  # fmt: skip
"""how a machine fails to come up (``machine:boot``), or to come up again (``machine:start``)"""
StartFault = Literal["never_starts", "half_started"]
"""how a stopped machine fails to start although the answer was good (``machine:start``)"""
FaultName = Literal[
    "drop_before_commit", "drop_after_commit", "late_commit", "done_later", "delay", "delay_after_commit", "bad_key",
    "status", "status_after_commit", "garbage", "empty_body", "success_false", "wrong_content_type",
    "empty_list", "truncated_list", "cut_page", "empty_page", "duplicates", "missing_fields", "stale", "ignored",
    "phantom", "unavailable", "double_sale", "success_without_id", "error_with_contract",
    "listed_late", "unlisted", "unfound", "reads_lag",
    "never_boots", "exits", "stays_null", "stuck_created", "oci_error", "port_taken", "no_space", "image_not_found",
    "odd_status", "never_starts", "half_started",
    "never_healthy", "crashes", "refuses", "no_keys", "missing", "unreachable",
]  # fmt: skip


class Fault(BaseModel):
    """One wish for trouble. ``endpoint`` is ``METHOD /path-prefix`` (``*`` for any method) or ``machine:boot``,
    ``machine:start``, ``machine:model_server``, ``machine:sshd``, ``machine:ports``, ``machine:gpu``."""

    model_config = ConfigDict(extra="forbid")

    endpoint: str
    fault: FaultName
    times: int | None = Field(default=None, ge=1)
    """how often it fires at most; none: until it is deleted"""
    probability: float = Field(default=1.0, ge=0.0, le=1.0)
    seconds: float | None = Field(default=None, gt=0)
    """how long it stays, counted from when it was posted"""
    nth: int = Field(default=1, ge=1)
    """it spares the matching calls before this one"""
    match: str | None = None
    """fires only where this text occurs: in the request's path, query or body; in the machine's label, image or GPU"""
    account: int | None = None
    """fires only for requests with a key of this account, and for machines that it rents; none: for everybody's"""
    status: int = 502
    body: str | dict[str, Any] | list[Any] = "<html><body><h1>502 Bad Gateway</h1></body></html>"
    headers: dict[str, str] = Field(default_factory=dict)
    delay_seconds: float = Field(default=1.0, ge=0)
    """how long what it puts off waits"""
    ending: BootFault = "exits"
    """``double_sale``: how the machines of those who came second end"""
    reads: str | None = "unknown"
    """``odd_status``: the ``actual_status`` that the row shows, any word or none"""

    id: int = 0
    calls: int = 0
    fired: int = 0
    _until: float | None = PrivateAttr(default=None)
    _removed: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)
    _seen: dict[str, tuple[int, bytes]] = PrivateAttr(default_factory=dict)

    @property
    def seen(self) -> dict[str, tuple[int, bytes]]:
        """What a stale read remembers: address → status and body."""
        return self._seen

    def arm(self, number: int) -> None:
        self.id = number
        self._until = time.monotonic() + self.seconds if self.seconds is not None else None

    async def wait(self) -> None:
        """For ``delay_seconds``, or until the fault is removed: whoever removes it says when what it holds goes on."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._removed.wait(), self.delay_seconds)

    def release(self) -> None:
        self._removed.set()

    def spent(self) -> bool:
        over = self._until is not None and time.monotonic() > self._until
        return over or (self.times is not None and self.fired >= self.times)

    def concerns(self, method: str, path: str, text: str, account: int | None) -> bool:
        if self.account not in (None, account):
            return False
        wanted_method, _, wanted_path = self.endpoint.rpartition(" ")
        if wanted_method not in ("", "*", method):
            return False
        there = path if path.endswith("/") else path + "/"
        return there.startswith(wanted_path) and (self.match is None or self.match in text)


class Faults:
    """The faults that are set. Repeatable: the chances come from the simulator's seed."""

    def __init__(self, seed: int) -> None:
        self._draws: dict[int | None, random.Random] = {}
        self.begin_again(seed)
        self._numbers = itertools.count(1)
        self._set: dict[int, Fault] = {}

    def begin_again(self, seed: int, account: int | None = None) -> None:
        """Draw the chances from this seed on, as a scenario wants it; those of one account, or everybody's."""
        if account is None:
            self._seed = seed
        self._draws[account] = random.Random(seed)  # noqa: S311 (a simulation, not a secret)

    def add(self, fault: Fault) -> Fault:
        fault.arm(next(self._numbers))
        self._set[fault.id] = fault
        return fault

    def all(self, account: int | None = None) -> list[Fault]:
        """Those of one account, or all that are set."""
        return [fault for fault in self._set.values() if account in (None, fault.account)]

    def remove(self, number: int) -> bool:
        fault = self._set.pop(number, None)
        if fault is None:
            return False
        fault.release()
        return True

    def clear(self, account: int | None = None) -> None:
        """Remove those of one account, or all."""
        for fault in self.all(account):
            self.remove(fault.id)

    def fire(self, method: str, path: str, text: str, account: int | None) -> list[Fault]:
        """The faults that strike this call of this account, in the order they were set; each counts as fired."""
        concerned = [fault for fault in self._set.values() if fault.concerns(method, path, text, account)]
        return [fault for fault in concerned if self._strikes(fault)]

    def fire_machine(self, where: str, text: str, account: int, name: str | None = None) -> Fault | None:
        """The fault for a machine of this account at ``boot``, ``start``, ``sshd``, ``model_server``, ``ports`` or
        ``gpu`` (or only ``name``)."""
        for fault in self._set.values():
            wanted = name in (None, fault.fault) and fault.concerns("", f"machine:{where}", text, account)
            if wanted and self._strikes(fault):
                return fault
        return None

    def chance(self, probability: float) -> bool:
        """A chance of the market's, from the same draw as everybody's faults."""
        return probability > 0 and self._draw(None).random() < probability

    def _strikes(self, fault: Fault) -> bool:
        if fault.spent():
            return False
        fault.calls += 1
        if fault.calls < fault.nth or self._draw(fault.account).random() > fault.probability:
            return False
        fault.fired += 1
        return True

    def _draw(self, account: int | None) -> random.Random:
        """Each account's faults have chances of their own, so that one account's calls do not disturb another's."""
        if account not in self._draws:
            self.begin_again(self._seed, account)
        return self._draws[account]
