"""Further API keys of an account, with permissions, and its environment variables ("secrets")."""

import secrets
import time
from typing import Any

from aiohttp import web

from simulator.vast.api.errors import invalid, refused
from simulator.vast.api.http import add, answer, caller_of, cloud_of, json_body, number_in
from simulator.vast.api.permissions import CATEGORIES
from simulator.vast.records import Account, ApiKey

MOST_SECRETS = 100


def routes(app: web.Application) -> None:
    add(app, "GET", "/api/v0/auth/apikeys", show_keys)
    add(app, "POST", "/api/v0/auth/apikeys", create_key)
    add(app, "GET", "/api/v0/auth/apikeys/{id}", show_key)
    add(app, "DELETE", "/api/v0/auth/apikeys/{id}", delete_key)
    add(app, "PUT", "/api/v0/commands/reset_apikey", reset_key)
    add(app, "GET", "/api/v0/secrets", show_secrets)
    add(app, "POST", "/api/v0/secrets", create_secret)
    add(app, "PUT", "/api/v0/secrets", update_secret)
    add(app, "DELETE", "/api/v0/secrets", delete_secret)


def _row(key: ApiKey) -> dict[str, Any]:
    """Without the key itself: that is shown once, when it is made."""
    return {"id": key.id, "user_id": key.account_id, "name": key.name, "permissions": key.permissions,
            "key_params": key.key_params, "created_at": key.created_at, "deleted_at": None}  # fmt: skip


async def show_keys(request: web.Request) -> web.Response:
    account = caller_of(request).account
    keys = [key for key in cloud_of(request).api_keys.values() if key.account_id == account.id]
    return answer({"success": True, "apikeys": [_row(key) for key in keys]})


async def create_key(request: web.Request) -> web.Response:
    cloud, body = cloud_of(request), await json_body(request)
    permissions = body.get("permissions")
    if permissions is not None and not _makes_sense(permissions):
        raise invalid("invalid permissions")
    number = max(cloud.api_keys, default=9000) + 1
    key = ApiKey(
        id=number, account_id=caller_of(request).account.id, name=str(body.get("name") or ""), permissions=permissions,
        key=secrets.token_hex(32), key_params=body.get("key_params"), created_at=time.time(),
    )  # fmt: skip
    cloud.api_keys[number] = key
    cloud.store.save("api_keys", number, key)
    return answer({"success": True, **_row(key), "key": key.key})


def _makes_sense(permissions: Any) -> bool:
    """``{"api": {category: {} or {endpoint: {"constraints": …}}}}``"""
    api = permissions.get("api") if isinstance(permissions, dict) else None
    return isinstance(api, dict) and all(name in CATEGORIES and isinstance(value, dict) for name, value in api.items())


def _own(request: web.Request) -> ApiKey:
    key = cloud_of(request).api_keys.get(number_in(request, "id"))
    if key is None or key.account_id != caller_of(request).account.id:
        raise refused(404, "not_found", "No such API key.")
    return key


async def show_key(request: web.Request) -> web.Response:
    return answer({"success": True, **_row(_own(request))})


async def delete_key(request: web.Request) -> web.Response:
    cloud, key = cloud_of(request), _own(request)
    del cloud.api_keys[key.id]
    cloud.store.delete("api_keys", key.id)
    return answer({"success": True})


async def reset_key(request: web.Request) -> web.Response:
    """The account's main key anew; the old one opens nothing from now on."""
    account = caller_of(request).account
    account.api_key = secrets.token_hex(32)
    _keep(request, account)
    return answer({"success": True, "new_api_key": account.api_key})


def _keep(request: web.Request, account: Account) -> None:
    cloud_of(request).store.save("accounts", account.id, account)


async def show_secrets(request: web.Request) -> web.Response:
    return answer({"success": True, "secrets": caller_of(request).account.secrets})


async def create_secret(request: web.Request) -> web.Response:
    name, value = _pair(await json_body(request))
    account = caller_of(request).account
    if name in account.secrets:
        raise refused(400, "duplicate_key", f"Environment variable {name} already exists.")
    if len(account.secrets) >= MOST_SECRETS:
        raise refused(400, "too_many", "Too many environment variables.")
    return _write(request, {**account.secrets, name: value}, "created")


async def update_secret(request: web.Request) -> web.Response:
    name, value = _pair(await json_body(request))
    return _write(request, {**_known(request, name), name: value}, "updated")


async def delete_secret(request: web.Request) -> web.Response:
    name = (await json_body(request)).get("key")
    known = _known(request, name)
    return _write(request, {key: value for key, value in known.items() if key != name}, "deleted")


def _known(request: web.Request, name: Any) -> dict[str, str]:
    held = caller_of(request).account.secrets
    if name not in held:
        raise refused(404, "not_found", f"Environment variable {name} not found.")
    return held


def _pair(body: dict[str, Any]) -> tuple[str, str]:
    name, value = body.get("key"), body.get("value")
    if not isinstance(name, str) or not name or not isinstance(value, str):
        raise invalid("key and value must be strings")
    return name, value


def _write(request: web.Request, held: dict[str, str], what: str) -> web.Response:
    account = caller_of(request).account
    account.secrets = held
    _keep(request, account)
    return answer({"success": True, "msg": f"Environment variable {what} successfully."})
