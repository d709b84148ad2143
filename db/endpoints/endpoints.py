"""An endpoint's row: its address, and what its server is. Whatever the gateways have to know is told to them."""

import secrets
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from db.endpoints.tables import Deployment, Endpoint
from db.events import record_event
from db.instances.tables import Instance
from db.sealing import hash_key
from db.session import now
from domain.endpoints.looks import ServerSeen, silent_in_a_row
from domain.endpoints.phases import AccessType, EndpointState, ServerTrouble

UPSTREAM_KEY_PURPOSE = "endpoint-upstream-key"
KEY_PREFIX = "dumont_ep_"
ROUTES_CHANNEL = "routes"


class Served(NamedTuple):
    """An endpoint, the order that made it, and the instance that serves it."""

    endpoint: Endpoint
    deployment: Deployment
    instance: Instance


def new_key() -> str:
    return KEY_PREFIX + secrets.token_urlsafe(32)


def new_path() -> str:
    """168 bits: a public endpoint is as secret as its path."""
    return secrets.token_urlsafe(21)


async def read(session: AsyncSession, endpoint_id: str, *, lock: bool = False) -> Served:
    """The three rows. `lock`: the endpoint and its deployment are to be changed."""
    query = (
        select(Endpoint, Deployment, Instance)
        .join(Deployment, Deployment.endpoint_id == Endpoint.id)
        .join(Instance, Instance.id == Deployment.instance_id)
        .where(Endpoint.id == endpoint_id)
    )
    if lock:
        query = query.with_for_update(of=[Endpoint, Deployment]).execution_options(populate_existing=True)
    row = (await session.execute(query)).one()
    return Served(row[0], row[1], row[2])


async def tell_gateways(session: AsyncSession, endpoint: Endpoint) -> None:
    """A new version of the route; they hear of it when the transaction commits."""
    endpoint.version = Endpoint.version + 1
    endpoint.updated_at = func.clock_timestamp()
    await session.flush()
    channel = {"channel": ROUTES_CHANNEL, "payload": endpoint.id}
    await session.execute(text("SELECT pg_notify(:channel, :payload)"), channel)


async def become(session: AsyncSession, endpoint: Endpoint, state: EndpointState, lease_id: str | None) -> None:
    """The endpoint's server is this now, on the machine of this lease."""
    endpoint.state, endpoint.lease_id, endpoint.state_at = state, lease_id, func.clock_timestamp()
    endpoint.silent_looks, endpoint.looked_at = 0, None
    await tell_gateways(session, endpoint)


async def rotate(session: AsyncSession, endpoint: Endpoint) -> str | None:
    """A new address, and for a private endpoint a new key, which is returned; the old ones are void."""
    key = new_key() if endpoint.access_type is AccessType.PRIVATE else None
    endpoint.path, endpoint.key_hash = new_path(), hash_key(key) if key else None
    await tell_gateways(session, endpoint)
    return key


async def go_down(
    session: AsyncSession, endpoint: Endpoint, trouble: ServerTrouble, why: str, steady: timedelta
) -> None:
    """Its server does not serve. One that served for so long as `steady` before had failed for the first time."""
    was_steady = endpoint.state is EndpointState.READY and await now(session) - endpoint.state_at >= steady
    endpoint.failures = 1 if was_steady else endpoint.failures + 1
    endpoint.trouble, endpoint.trouble_text = trouble, why
    await become(session, endpoint, EndpointState.DOWN, endpoint.lease_id)


async def note_look(session: AsyncSession, endpoint: Endpoint, seen: ServerSeen, every: float) -> int:
    """Count silent looks in a row."""
    present = await now(session)
    since = None if endpoint.looked_at is None else (present - endpoint.looked_at).total_seconds()
    endpoint.silent_looks = silent_in_a_row(endpoint.silent_looks, since, every, seen)
    endpoint.looked_at = present
    return endpoint.silent_looks


async def open_endpoints_of(session: AsyncSession, instance_id: int, *, but_closing: bool = False) -> list[str]:
    """The endpoints that an instance serves and whose flows live by it. `but_closing`: less those that are closing."""
    query = select(Endpoint.id).join(Deployment, Deployment.endpoint_id == Endpoint.id)
    over = (EndpointState.CLOSED, EndpointState.CLOSING) if but_closing else (EndpointState.CLOSED,)
    return list(await session.scalars(query.where(Deployment.instance_id == instance_id, Endpoint.state.not_in(over))))


async def tell_owner(session: AsyncSession, endpoint: Endpoint, kind: str, sentence: str) -> None:
    """A line of the endpoint's timeline."""
    await record_event(session, endpoint.user_id, f"endpoint:{endpoint.id}", kind, sentence)
