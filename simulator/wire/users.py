"""The caller's own account."""

from aiohttp import web

from simulator.wire.answers import add, answer, caller_of, cloud_of


def routes(app: web.Application) -> None:
    add(app, "GET", "/api/v0/users/current", current)


async def current(request: web.Request) -> web.Response:
    account = caller_of(request).account
    return answer({
        "id": account.id, "email": account.email, "username": account.username, "fullname": "Simulated Account",
        "credit": cloud_of(request).credit(account), "balance": 0.0, "balance_threshold": 0.0,
        "balance_threshold_enabled": False, "autobill_amount": None, "has_billing": True, "billaddress": None,
        "ssh_key": None, "host_agreement_accepted": False, "host_only": False, "can_pay": True, "email_verified": True,
        "last4": None, "api_key": account.api_key, "user": account.username, "simulated": True,
    })  # fmt: skip
