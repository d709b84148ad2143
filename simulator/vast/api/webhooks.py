"""The account's webhooks (clouds.md A7): at most four, a secret that is shown once; ``vast/notifications.py`` sends."""

import secrets
import time
from typing import Any

from aiohttp import web

from simulator.vast.api.errors import invalid, refused
from simulator.vast.api.http import add, answer, caller_of, cloud_of, json_body, number_in, settings_of
from simulator.vast.notifications import EVENTS
from simulator.vast.records import Webhook

MOST, LONGEST_ADDRESS, LONGEST_NAME = 4, 2048, 120


def routes(app: web.Application) -> None:
    add(app, "GET", "/api/v0/notification-types", kinds)
    add(app, "GET", "/api/v0/webhooks", show)
    add(app, "POST", "/api/v0/webhooks", create)
    add(app, "PUT", "/api/v0/webhooks/{id}", update)
    add(app, "DELETE", "/api/v0/webhooks/{id}", delete)
    add(app, "POST", "/api/v0/webhooks/{id}/rotate-secret", rotate)
    add(app, "POST", "/api/v0/webhooks/{id}/test", test)


def _row(hook: Webhook) -> dict[str, Any]:
    times = {"created_at": int(hook.created_at), "updated_at": int(hook.updated_at)}
    return {"id": hook.id, "user_id": hook.account_id, "name": hook.name, "webhook_url": hook.url,
            "event_types": hook.event_types, **times}  # fmt: skip


async def kinds(request: web.Request) -> web.Response:
    rows = [{"key": key, "name": name, "category": "instance"} for key, name in EVENTS.items()]
    return answer({"success": True, "notification_types": rows})


def _mine(request: web.Request) -> list[Webhook]:
    account = caller_of(request).account
    return [hook for hook in cloud_of(request).webhooks.values() if hook.account_id == account.id]


def _own(request: web.Request) -> Webhook:
    number = number_in(request, "id")
    for hook in _mine(request):
        if hook.id == number:
            return hook
    raise refused(404, "not_found", "No such webhook.")


def _checked(request: web.Request, body: dict[str, Any]) -> tuple[str | None, str, list[str]]:
    name, url, events = body.get("name"), body.get("webhook_url"), body.get("event_types")
    schemes = ("https://", "http://") if settings_of(request).webhooks.plain_http else ("https://",)
    if not isinstance(url, str) or not url.startswith(schemes) or len(url) > LONGEST_ADDRESS:
        raise invalid("webhook_url must be an HTTPS address")
    if not isinstance(events, list) or not events or any(event not in EVENTS for event in events):
        raise invalid("event_types must name notification types")
    if name is not None and (not isinstance(name, str) or len(name) > LONGEST_NAME):
        raise invalid("invalid name")
    return name, url, events


async def show(request: web.Request) -> web.Response:
    return answer({"success": True, "webhooks": [_row(hook) for hook in _mine(request)]})


async def create(request: web.Request) -> web.Response:
    cloud, now = cloud_of(request), time.time()
    name, url, events = _checked(request, await json_body(request))
    if len(_mine(request)) >= MOST:
        raise refused(400, "too_many_webhooks", f"At most {MOST} webhooks.")
    hook = Webhook(
        id=max(cloud.webhooks, default=40) + 1, account_id=caller_of(request).account.id, name=name, url=url,
        event_types=events, secret=secrets.token_hex(32), created_at=now, updated_at=now,
    )  # fmt: skip
    return _kept(request, hook, with_secret=True)


async def update(request: web.Request) -> web.Response:
    hook = _own(request)
    body = {"name": hook.name, "webhook_url": hook.url, "event_types": hook.event_types, **await json_body(request)}
    hook.name, hook.url, hook.event_types = _checked(request, body)
    return _kept(request, hook)


def _kept(request: web.Request, hook: Webhook, *, with_secret: bool = False) -> web.Response:
    cloud, hook.updated_at = cloud_of(request), time.time()
    cloud.webhooks[hook.id] = hook
    cloud.store.save("webhooks", hook.id, hook)
    row = {**_row(hook), "webhook_secret": hook.secret} if with_secret else _row(hook)
    return answer({"success": True, "webhook": row, "enabled_notification_preferences": hook.event_types})


async def delete(request: web.Request) -> web.Response:
    cloud, hook = cloud_of(request), _own(request)
    del cloud.webhooks[hook.id]
    cloud.store.delete("webhooks", hook.id)
    return answer({"success": True})


async def rotate(request: web.Request) -> web.Response:
    hook = _own(request)
    hook.secret = secrets.token_hex(32)
    return _kept(request, hook, with_secret=True)


async def test(request: web.Request) -> web.Response:
    hook = _own(request)
    event = cloud_of(request).notifications.send(hook, hook.event_types[0], "a test")
    return answer({"success": True, "event_id": event})
