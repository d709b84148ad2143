"""The published rate limits: the least seconds between two requests, per endpoint and identity."""

import re
import time
from dataclasses import dataclass, field

SEARCH_BUDGET = (10, 60.0)
"""searches per seconds"""


@dataclass(frozen=True, slots=True)
class Limit:
    name: str
    method: str
    path: re.Pattern[str]
    seconds: float
    penalty: float = 0.0
    """how long to stay away after a refusal"""


def _limit(name: str, method: str, path: str, seconds: float, penalty: float = 0.0) -> Limit:
    return Limit(name, method, re.compile(rf"(?:{path})/?$"), seconds, penalty)


LIMITS = (
    _limit("asks", "PUT", r"/api/v0/asks/\d+", 4.5, 12.0),
    _limit("show", "GET", r"/api/v0/instances/\d+", 2.0),
    _limit("list", "GET", r"/api/v1/instances", 1.0),
    _limit("manage", "PUT", r"/api/v0/instances(/\d+)?", 1.0),
    _limit("destroy", "DELETE", r"/api/v0/instances(/\d+)?", 3.0),
    _limit("reboot", "PUT", r"/api/v0/instances/(reboot|recycle)/\d+", 1.0),
    _limit("keys", "POST", r"/api/v0/ssh", 1.0),
    _limit("attach", "POST", r"/api/v0/instances/\d+/ssh", 1.0),
    _limit("bid", "PUT", r"/api/v0/instances/bid_price/\d+", 5.5),
    _limit("execute", "PUT", r"/api/v0/instances/command/\d+", 1.5),
    _limit("prepay", "PUT", r"/api/v0/instances/prepay/\d+", 2.0),
    _limit("launch", "PUT", r"/api/v0/launch_instance", 5.0),
    _limit("deposit", "GET", r"/api/v0/instances/balance/\d+", 3.0),
    _limit("charges", "GET", r"/api/v0/charges", 1.0),
    _limit("invoices", "GET", r"/api/v1/invoices|/api/v0/users/me/invoices", 3.0),
    _limit("apikeys", "GET", r"/api/v0/auth/apikeys(/\d+)?", 1.0),
    _limit("apikeys", "POST", r"/api/v0/auth/apikeys", 2.0),
    _limit("secrets", "GET", r"/api/v0/secrets", 3.0),
    _limit("secrets", "POST", r"/api/v0/secrets", 5.0),
    _limit("users", "PUT", r"/api/v0/users", 5.0),
    _limit("template", "GET", r"/api/v0/template", 3.0),
    _limit("volumes", "GET", r"/api/v0/volumes", 5.5),
    _limit("endpoints", "GET", r"/api/v0/endptjobs", 2.0),
    _limit("workergroups", "GET", r"/api/v0/autojobs", 2.0),
    _limit("detach", "DELETE", r"/api/v0/instances/\d+/ssh/\d+", 2.0),
)
SEARCH = re.compile(r"/api/v0/(bundles|search/asks)/?$")


@dataclass(slots=True)
class Limiter:
    _free_at: dict[tuple[str, str], float] = field(default_factory=dict)
    _searches: dict[str, list[float]] = field(default_factory=dict)

    def refuse(self, method: str, path: str, identity: str, scale: float) -> float | None:
        """The threshold that this request breaks, in seconds, or None when it may pass."""
        if scale <= 0:
            return None
        now = time.monotonic()
        if SEARCH.match(path):
            return self._refuse_search(identity, now, scale)
        limit = next((lim for lim in LIMITS if lim.method == method and lim.path.match(path)), None)
        if limit is None:
            return None
        key = (limit.name, identity)
        if now < self._free_at.get(key, 0.0):
            self._free_at[key] = max(self._free_at[key], now + limit.penalty * scale)
            return limit.seconds
        self._free_at[key] = now + limit.seconds * scale
        return None

    def _refuse_search(self, identity: str, now: float, scale: float) -> float | None:
        count, window = SEARCH_BUDGET
        recent = [at for at in self._searches.get(identity, []) if at > now - window * scale]
        self._searches[identity] = recent
        if len(recent) >= count:
            return window / count
        recent.append(now)
        return None
