"""Giving a lease's machine back, until its cloud says by label and by id that nothing is left (design section 5.4)."""

from temporalio import activity

from activities.errors import NotYet
from clouds.connections import Providers
from clouds.errors import Refused, Unavailable
from clouds.provider import Provider, Verb
from db.machines.tables import Lease
from domain.machines.labels import label_of
from failpoints import Failpoint, hit

LOOK_AGAIN = 1.0
LOOK_FIRST = 0.25
"""Seconds after a destroy until it is looked whether it is done: a job is over only then."""
REFUSED_PAUSE_AT_MOST = 30.0
"""Seconds between two tries to destroy what the cloud refuses to destroy; at first they are shorter."""


async def destroy(providers: Providers, lease: Lease) -> None:
    """One step towards nothing being left. Raises `NotYet` while something is, and the provider's errors."""
    attempt = activity.info().attempt
    first = lease.cloud_id if attempt == 1 else None
    async with providers.calling(lease.provider_key_id, Verb.DELETE) as provider:
        alive = [first] if first is not None else await _still_there(providers, provider, lease)
        if not alive:
            return
        # another one first each time: one that is refused, or that takes the turn, keeps nobody waiting
        await _ask_to_destroy(providers, provider, lease, alive[attempt % len(alive)])
    if len(alive) > 1:
        raise NotYet("more than one machine came of it; the next one", 0)
    raise NotYet("asked the cloud to destroy it; waiting until it is gone", LOOK_FIRST if first else LOOK_AGAIN)


async def _ask_to_destroy(providers: Providers, provider: Provider, lease: Lease, cloud_id: str) -> None:
    await providers.take_turn(lease.account_id, Verb.DELETE)
    try:
        await provider.delete(cloud_id)
    except Refused as error:
        pause = min(REFUSED_PAUSE_AT_MOST, LOOK_AGAIN * activity.info().attempt)
        raise NotYet(f"the cloud refuses to destroy it ({error})", pause) from error
    await hit(Failpoint.RELEASE_ASKED)


async def _still_there(providers: Providers, provider: Provider, lease: Lease) -> list[str]:
    """By label and by id: a listing may lag, and a machine may have been relabelled.

    Raises:
        Unavailable: none that has a name, but a row that cannot be read, and may be the lease's machine.
    """
    await providers.take_turn(lease.account_id, Verb.LIST)
    listing = await provider.list([label_of(lease.label)])
    listed = {each.cloud_id for each in listing.machines}
    if lease.cloud_id is not None and lease.cloud_id not in listed:
        await providers.take_turn(lease.account_id, Verb.GET)
        if await provider.get(lease.cloud_id) is not None:
            listed.add(lease.cloud_id)
    if not listed and listing.may_hide(label_of(lease.label)):
        raise Unavailable("it lists a machine that may be this one, and does not say which it is")
    return sorted(listed)
