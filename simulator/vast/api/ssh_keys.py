"""SSH keys: the account's (they go on new machines) and those attached to one machine."""

import asyncio
import time
from typing import Any

import asyncssh
from aiohttp import web

from simulator.vast.api.errors import invalid, refused
from simulator.vast.api.http import (
    add,
    answer,
    caller_of,
    cloud_of,
    json_body,
    lifecycle_of,
    number_in,
    own_contract,
    settings_of,
)
from simulator.vast.cloud import Cloud
from simulator.vast.records import Contract, SshKey


def routes(app: web.Application) -> None:
    add(app, "GET", "/api/v0/ssh", show_keys)
    add(app, "POST", "/api/v0/ssh", create_key)
    add(app, "PUT", "/api/v0/ssh/{key}", update_key)
    add(app, "DELETE", "/api/v0/ssh/{key}", delete_key)
    add(app, "GET", "/api/v0/instances/{id}/ssh", show_attached)
    add(app, "POST", "/api/v0/instances/{id}/ssh", attach)
    add(app, "DELETE", "/api/v0/instances/{id}/ssh/{key}", detach)


def _row(key: SshKey) -> dict[str, Any]:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(key.created_at))
    return {"id": key.id, "user_id": key.account_id, "public_key": key.public_key, "key": key.public_key,
            "created_at": stamp, "deleted_at": None}  # fmt: skip


def _new_key(cloud: Cloud, account_id: int, text: Any) -> SshKey:
    """Refuses with 400 what is not a public key."""
    if not isinstance(text, str):
        raise invalid("ssh_key is missing")
    try:
        asyncssh.import_public_key(text.strip())
    except asyncssh.KeyImportError:
        raise invalid("Invalid ssh key") from None
    used = [key.id for key in cloud.ssh_keys.values()]
    used += [key.id for contract in cloud.contracts.values() for key in contract.attached]
    return SshKey(id=max(used, default=5000) + 1, account_id=account_id, public_key=text, created_at=time.time())


async def show_keys(request: web.Request) -> web.Response:
    cloud = cloud_of(request)
    keys = cloud.account_keys(caller_of(request).account.id)
    if not keys and settings_of(request).toggles.empty_ssh_keys == "404":
        raise refused(404, "not_found", "No SSH keys found.")
    return answer([_row(key) for key in keys])


async def create_key(request: web.Request) -> web.Response:
    cloud, account = cloud_of(request), caller_of(request).account
    if settings_of(request).toggles.team_key:
        text = "Team SSH keys are not supported. SSH keys can only be created in personal context."
        raise refused(400, "team_ssh_keys_not_supported", text)
    key = _new_key(cloud, account.id, (await json_body(request)).get("ssh_key"))
    cloud.ssh_keys[key.id] = key
    cloud.store.save("ssh_keys", key.id, key)
    if settings_of(request).toggles.new_key_reaches_running:
        for contract in cloud.living(account):
            _put_on(request, contract, key)
    return answer({"success": True, "key": _row(key)})


def _own_key(request: web.Request) -> SshKey:
    key = cloud_of(request).ssh_keys.get(number_in(request, "key"))
    if key is None or key.account_id != caller_of(request).account.id:
        raise refused(400, "no_ssh_key", "No such SSH key.")
    return key


async def update_key(request: web.Request) -> web.Response:
    cloud, key = cloud_of(request), _own_key(request)
    text = (await json_body(request)).get("ssh_key")
    key.public_key = _new_key(cloud, key.account_id, text).public_key
    cloud.store.save("ssh_keys", key.id, key)
    return answer({"success": True, "key": _row(key)})


async def delete_key(request: web.Request) -> web.Response:
    key = _own_key(request)
    del cloud_of(request).ssh_keys[key.id]
    cloud_of(request).store.delete("ssh_keys", key.id)
    return answer({"success": True})


async def show_attached(request: web.Request) -> web.Response:
    return answer({"success": True, "ssh_keys": [_row(key) for key in own_contract(request).attached]})


async def attach(request: web.Request) -> web.Response:
    contract = own_contract(request)
    text = (await json_body(request)).get("ssh_key")
    key = _new_key(cloud_of(request), contract.account_id, text)
    if key.public_key.strip() not in [old.public_key.strip() for old in contract.attached]:
        _put_on(request, contract, key)
    return answer({"success": True, "key": _row(key)})


async def detach(request: web.Request) -> web.Response:
    contract, number = own_contract(request), number_in(request, "key")
    if number not in [key.id for key in contract.attached]:
        raise refused(400, "no_ssh_key", "No such SSH key.")
    lifecycle_of(request).put(contract, attached=[key for key in contract.attached if key.id != number])
    _write(cloud_of(request), contract)
    return answer({"success": True})


def _put_on(request: web.Request, contract: Contract, key: SshKey) -> None:
    """On the row at once; in the machine's file after the propagation clock."""
    cloud = cloud_of(request)
    lifecycle_of(request).put(contract, attached=[*contract.attached, key])
    delay = cloud.settings_of(contract.account_id).clocks.keys
    if delay:
        asyncio.get_running_loop().call_later(delay, _write, cloud, contract)
    else:
        _write(cloud, contract)


def _write(cloud: Cloud, contract: Contract) -> None:
    machine = cloud.fleet.known(contract.id)
    if machine and contract.alive and machine.spec:
        machine.set_keys(cloud.keys_of(contract))
