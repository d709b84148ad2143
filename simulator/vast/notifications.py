"""Webhooks: what happens to machines and money, told to the customer's own address (clouds.md A7).

Each delivery is a POST signed with the webhook's secret, at least once: what is not answered with 2xx within 10 s is
sent again after 408, 429, 5xx or no answer, and given up after anything else. Settings make duplicates and disorder.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import random
import time
import uuid
from typing import TYPE_CHECKING, Any

import aiohttp

from simulator.vast.records import Contract, Webhook

if TYPE_CHECKING:
    from simulator.vast.cloud import Cloud

logger = logging.getLogger(__name__)
EVENTS = {
    "client:instance_created": "Instance created", "client:instance_started": "Instance started",
    "client:instance_stopped": "Instance stopped", "client:instance_offline": "Instance offline",
    "client:instance_online": "Instance online again", "client:outbid": "Instance outbid",
    "client:low_credit": "Low credit", "client:upcoming_downtime": "Upcoming downtime",
}  # fmt: skip
TIMEOUT = aiohttp.ClientTimeout(total=10)
PATIENCE = (408, 429)


def state_notifications(before: str | None, after: str | None) -> list[str]:
    """The events that a change of ``actual_status`` is."""
    if before == after or before == "offline" or after == "offline":
        return []
    if after == "running":
        return ["client:instance_started"]
    ran = before in ("running", "stopping")
    return ["client:instance_stopped"] if ran and after in ("exited", "stopped") else []


def signature(secret: str, timestamp: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


class Notifications:
    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._under_way: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def tell(self, kind: str, contract: Contract) -> None:
        """To every webhook of the machine's account that asked for this kind."""
        self.tell_account(kind, contract.account_id, f"Instance {contract.id} ({contract.label or 'no label'})")

    def tell_account(self, kind: str, account_id: int, text: str) -> None:
        hooks = [hook for hook in self._cloud.webhooks.values() if hook.account_id == account_id]
        for hook in hooks:
            if kind in hook.event_types:
                self.send(hook, kind, text)

    def send(self, hook: Webhook, kind: str, text: str) -> str:
        """Begin a delivery (on demand twice, and late); the event's id."""
        wishes, event = self._cloud.settings_of(hook.account_id).webhooks, str(uuid.uuid4())
        message = f"{EVENTS[kind]}: {text} (simulated)"
        payload = {"event_id": event, "notif_type": kind, "subject": EVENTS[kind], "message": message,
                   "user_id": hook.account_id, "created_at": int(time.time()), "simulated": True}  # fmt: skip
        copies = 2 if random.random() < wishes.duplicates else 1  # noqa: S311 (a simulation)
        for _ in range(copies):
            late = random.uniform(0, wishes.shuffle_seconds)  # noqa: S311 (a simulation)
            task = asyncio.create_task(self._deliver(hook, event, payload, late))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        return event

    async def _deliver(self, hook: Webhook, event: str, payload: dict[str, Any], late: float) -> None:
        await asyncio.sleep(late)
        body = json.dumps(payload).encode()
        waits = self._cloud.settings_of(hook.account_id).webhooks.retry_seconds
        for attempt, wait in enumerate([*waits, 0.0], start=1):
            status = await self._post(hook, event, attempt, body)
            if status is not None and status < 500 and status not in PATIENCE:
                return
            await asyncio.sleep(wait)
        logger.warning("webhook %s: event %s was not taken", hook.id, event)

    async def _post(self, hook: Webhook, event: str, attempt: int, body: bytes) -> int | None:
        """The answer's status; None when there was no answer."""
        stamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json", "X-Vast-Event-Id": event, "X-Vast-Delivery-Attempt": str(attempt),
            "X-Vast-Timestamp": stamp, "X-Vast-Signature-256": signature(hook.secret, stamp, body),
        }  # fmt: skip
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT)
        try:
            async with self._session.post(hook.url, data=body, headers=headers, allow_redirects=False) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def close(self) -> None:
        for task in list(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if self._session:
            await self._session.close()
