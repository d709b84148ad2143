"""Who asks: API keys, and the accounts and machines behind them."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from simulator.vast.cloud import Cloud
from simulator.vast.records import Account


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: an account, or one of its machines with the key that opens nothing but that machine."""

    account: Account
    instance: int | None = None
    permissions: dict[str, Any] | None = None
    """of a restricted key; none: everything"""


def key_in(request: web.Request) -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else request.query.get("api_key", "")


def identify(cloud: Cloud, key: str) -> Caller | None:
    if not key:
        return None
    for account in cloud.accounts.values():
        if account.api_key == key:
            return Caller(account)
    for other in cloud.api_keys.values():
        if other.key == key:
            return Caller(cloud.accounts[other.account_id], permissions=other.permissions)
    for contract in cloud.living():
        if contract.api_key == key:
            return Caller(cloud.accounts[contract.account_id], contract.id)
    return None


def account_named(cloud: Cloud, name: str) -> Account | None:
    """The account with this API key, or with this number."""
    if caller := identify(cloud, name):
        return caller.account
    return cloud.accounts.get(int(name)) if name.isdecimal() else None
