"""What this cloud has none of: lists that are empty, in the shape that the official client reads (clouds.md A1).

Making any of it is not known here and answers 404.
"""

from typing import Any

from aiohttp import web

from simulator.vast.api.http import Handler, add, answer

LISTS: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/api/v0/volumes", {"success": True, "volumes": []}),
    ("POST", "/api/v0/volumes/search", {"success": True, "offers": []}),
    ("POST", "/api/v0/network_volumes/search", {"success": True, "offers": []}),
    ("GET", "/api/v0/network_disk", {"success": True, "data": []}),
    ("GET", "/api/v0/template", {"success": True, "templates": [], "templates_found": 0}),
    ("GET", "/api/v0/machines", {"success": True, "machines": []}),
    ("GET", "/api/v0/endptjobs", {"success": True, "results": []}),
    ("GET", "/api/v0/autojobs", {"success": True, "results": []}),
    ("GET", "/api/v0/subaccounts", {"success": True, "users": []}),
    ("GET", "/api/v0/team/members", []),
    ("GET", "/api/v0/team/roles-full", []),
    ("GET", "/api/v0/users/me/ipaddrs", {"success": True, "results": []}),
    ("GET", "/api/v0/users/me/machine-earnings", {"summary": {}, "per_machine": [], "per_day": []}),
    ("GET", "/api/v0/users/cloud_integrations", []),
    ("GET", "/api/v0/audit_logs", []),
    ("GET", "/api/v0/commands/schedule_job", []),
    ("GET", "/api/v0/tfa/status", {"success": True, "tfa_enabled": False, "methods": [], "backup_codes_remaining": 0}),
    ("GET", "/api/v0/instance_backups", {"success": True, "backups": []}),
    ("GET", "/api/v0/instances/pending-price-increases", {"success": True, "pending_price_increases": []}),
    ("GET", "/api/v0/clusters", {"success": True, "clusters": {}}),
    ("GET", "/api/v0/overlay", []),
    ("GET", "/api/v0/deployments", {"success": True, "deployments": []}),
)


def routes(app: web.Application) -> None:
    for method, path, body in LISTS:
        add(app, method, path, _always(body))


def _always(body: Any) -> Handler:
    async def none_here(request: web.Request) -> web.Response:
        return answer(body)

    return none_here
