"""What this simulator is, and what can be turned while it runs."""

from aiohttp import web

from simulator.control.accounts import account_id_in, account_rows
from simulator.vast.api.errors import invalid
from simulator.vast.api.http import add, answer, cloud_of, json_body


def routes(app: web.Application) -> None:
    add(app, "GET", "/health", health)
    add(app, "GET", "/simulator/info", info)
    add(app, "PATCH", "/simulator/settings", change_settings)


async def health(request: web.Request) -> web.Response:
    return answer({"status": "ok", "simulated": True})


async def info(request: web.Request) -> web.Response:
    cloud = cloud_of(request)
    return answer({
        "simulated": True, "clouds": ["vast"], "speed": cloud.speed, "seed": cloud.seed,
        "machines": "namespaces" if cloud.fleet.namespaces else "folders (no namespaces here: no isolation)",
        "settings": cloud.settings.model_dump(), "offers": len(cloud.offers), "accounts": account_rows(cloud),
        "alive": len(cloud.living()),
    })  # fmt: skip


async def change_settings(request: web.Request) -> web.Response:
    """Merge into the settings, at any depth: ``{"clocks": {"sshd": 5}, "rate_limit_scale": 1}``. With ``?account=``
    they hold for that account's requests and machines only."""
    cloud, account, changes = cloud_of(request), account_id_in(request), await json_body(request)
    try:
        if account is None:
            cloud.settings = cloud.settings.changed(changes)
        else:
            cloud.account_settings.change(account, changes, cloud.settings)
    except ValueError as problem:
        raise invalid(str(problem)) from None
    for machine in cloud.fleet.all():
        machine.open_ways_out(cloud.settings.way_out)
    return answer(cloud.settings_of(account).model_dump())
