"""Whose turn it is at a cloud: the limits that it publishes, and who of us goes first."""

from datetime import timedelta
from enum import Enum


class ApiQuota(Enum):
    """Published seconds between requests, per key, and how many may come at once (clouds.md A6).

    A tenth is added to each: requests do not arrive as evenly as they leave, and one that comes too early is not only
    refused, it starts a penalty. Searches have a budget instead, ten in any minute: four at once and one every 10.5 s
    never exceed it.
    """

    RENT = ("rent", 4.95, 1)
    LIST = ("list", 1.1, 1)
    SHOW = ("show", 2.2, 1)
    DESTROY = ("destroy", 3.3, 1)
    MANAGE = ("manage", 1.1, 1)
    SEARCH = ("search", 10.5, 4)
    SSH_KEYS = ("ssh_keys", 1.1, 1)
    USER = ("user", 1.1, 3)

    @property
    def spacing(self) -> timedelta:
        return timedelta(seconds=self.value[1])

    @property
    def burst(self) -> int:
        return int(self.value[2])


PENALTY_SPACINGS = 3.0
"""How long an endpoint is left alone after a 429: the cloud's own penalty for a rent is 12 s (clouds.md A6)."""


class Urgency(Enum):
    """Who goes first at a shared endpoint: destroying and renting, then what moves, then sweeps.

    The value is how many spacings the endpoint has to lie idle before such a request may take it.
    """

    HIGH = 0.0
    MOVING = 0.25
    SWEEP = 1.0
