"""Where each endpoint leads: rows as the data path sees them, and the table of them in memory."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sqlalchemy import Select, select

from db.endpoints.tables import Endpoint
from db.machines.tables import Lease
from domain.endpoints.phases import AccessType, EndpointState, ModelType
from domain.machines.machines import MachineSeen, ssh_address
from domain.machines.phases import LeaseState

RELEASED = (LeaseState.RELEASING, LeaseState.CLOSED)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LeaseAddress:
    """How to reach the machine of a lease: by SSH, with the one host key that it may show.

    `host` and `port` are None while the cloud does not say; a connection that lives is not ended for that.
    """

    lease_id: str
    host: str | None
    port: int | None
    host_key: str
    sealed_private_key: str = field(repr=False)


@dataclass(frozen=True)
class Route:
    """One endpoint. `port` is the model server's, on the machine's own loopback; `lease` None: no machine now."""

    id: str
    path: str = field(repr=False)
    user_id: int
    access_type: AccessType
    key_hash: str | None = field(repr=False)
    model_type: ModelType
    model_id: str
    state: EndpointState
    port: int
    sealed_upstream_key: str = field(repr=False)
    version: int
    lease: LeaseAddress | None


def open_routes() -> Select[Endpoint, Lease]:
    """Every endpoint that callers have an address of, with its lease; to be narrowed by the caller."""
    joined = select(Endpoint, Lease).outerjoin(Lease, Endpoint.lease_id == Lease.id)
    return joined.where(Endpoint.state.in_([state for state in EndpointState if state.is_open]))


def route_of(endpoint: Endpoint, lease: Lease | None) -> Route | None:
    """The row's route; None, with a line in the log, for one that this version cannot read."""
    try:
        return _route(endpoint, lease)
    except ValueError as error:
        log.error("endpoint %s cannot be read: %s", endpoint.id, type(error).__name__)
        return None


def _route(endpoint: Endpoint, lease: Lease | None) -> Route:
    return Route(
        id=endpoint.id,
        path=endpoint.path,
        user_id=endpoint.user_id,
        access_type=endpoint.access_type,
        key_hash=endpoint.key_hash,
        model_type=ModelType(endpoint.model_type),
        model_id=endpoint.model_id,
        state=endpoint.state,
        port=endpoint.port,
        sealed_upstream_key=endpoint.sealed_upstream_key,
        version=endpoint.version,
        lease=None if lease is None else address_of(lease),
    )


def address_of(lease: Lease) -> LeaseAddress | None:
    """Where the lease's machine answers SSH: its direct port when it has one, else the cloud's proxy.

    None before its host key is pinned, since we would not know which machine answers, and after it is released.
    """
    if lease.state in RELEASED or not lease.host_key:
        return None
    host, port = ssh_address(MachineSeen.model_validate(lease.seen), lease.ssh_way) or (None, None)
    return LeaseAddress(lease.id, host, port, lease.host_key, lease.sealed_private_key)


class RouteTable:
    """The routes known now. `on_change` is called with all of them after every change."""

    def __init__(self, on_change: Callable[[Iterable[Route]], None]) -> None:
        self._by_id: dict[str, Route] = {}
        self._by_path: dict[str, Route] = {}
        self._put_at: dict[str, int] = {}
        self._puts = 0
        self._on_change = on_change
        self.loaded = False
        """Whether a whole reading has ever succeeded."""

    def __len__(self) -> int:
        return len(self._by_id)

    def find(self, path: str) -> Route | None:
        return self._by_path.get(path)

    @property
    def now(self) -> int:
        """To be taken before a reading of all routes, and given to `replace_all` with what it read."""
        return self._puts

    def replace_all(self, routes: list[Route], since: int) -> None:
        """These are all there are, but for those that others put here while they were being read."""
        later = {id: route for id, route in self._by_id.items() if self._put_at.get(id, 0) > since}
        self._by_id = later | {route.id: self._newer(route) for route in routes}
        self._put_at = {id: at for id, at in self._put_at.items() if id in self._by_id}
        self.loaded = True
        self._changed()

    def put(self, route: Route) -> None:
        self._puts += 1
        self._put_at[route.id] = self._puts
        self._by_id[route.id] = self._newer(route)
        self._changed()

    def drop(self, endpoint_id: str) -> None:
        if self._by_id.pop(endpoint_id, None) is not None:
            self._changed()

    def _newer(self, route: Route) -> Route:
        """Readings may overtake each other; what is known never goes back."""
        known = self._by_id.get(route.id)
        return known if known is not None and known.version > route.version else route

    def _changed(self) -> None:
        self._by_path = {route.path: route for route in self._by_id.values()}
        self._on_change(self._by_id.values())
