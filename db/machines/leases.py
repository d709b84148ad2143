"""The ledger of leases: the transactions of the lease protocol (design section 5). Times are the database's."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.accounts.tables import Account
from db.machines.tables import Lease
from db.tables import Installation
from db.usage.costs import committed_usd
from db.usage.spending import Limits
from domain.holders import Holder, instance_holder
from domain.ids import new_id
from domain.machines.labels import Label
from domain.machines.phases import LeaseOutcome, LeaseState, SshWay
from domain.machines.spec import MachineSpec
from domain.market.offers import Offer, usd
from domain.refusals import GpuLimitReached, NoOfferFree, SpendingCapReached

RECENT_FAILURE = timedelta(minutes=30)
"""A host that failed one of ours is left alone for so long."""

TRIED_LATELY = timedelta(hours=3)
"""An instance does not take an offer again that failed it, for as long as one search for a machine may last."""

OPEN = Lease.state != LeaseState.CLOSED
GOOD = and_(
    Lease.wanted,
    Lease.state.not_in([LeaseState.RELEASING, LeaseState.CLOSED]),
    Lease.start_refused.is_(None),
)
"""A holder has one of these at most. A machine that cannot be started again is still held, for its files, but it is no
reason not to take another."""


async def installation_id(session: AsyncSession) -> str:
    return (await session.scalars(select(Installation.uid))).one()


def open_leases() -> Select[Lease]:
    return select(Lease).where(OPEN)


async def check_limits(session: AsyncSession, user_id: int, offer: Offer, limits: Limits) -> None:
    """Refuse when this machine, for one hour, would pass the user's daily cap, or is more GPUs than they may hold."""
    committed = await committed_usd(session, user_id)
    price = float(offer.price_usd_per_hour)
    if committed + price > limits.usd_per_day:
        raise SpendingCapReached(committed, price, limits.usd_per_day)
    in_use = OPEN, Lease.wanted, Lease.state != LeaseState.STOPPED
    held = await session.scalar(select(func.sum(Lease.num_gpus)).where(Lease.user_id == user_id, *in_use))
    if (held or 0) + offer.num_gpus > limits.gpus:
        raise GpuLimitReached(held or 0, offer.num_gpus, limits.gpus)


class LeaseKeys(NamedTuple):
    """A machine's SSH key: the public line, and the private half sealed."""

    public: str
    sealed_private: str


class LeaseRequest(NamedTuple):
    """Who needs a machine, on which account, and what it shall be. `keeps_files`: its disk holds a user's work."""

    holder: Holder
    user_id: int
    account_id: int
    provider_key_id: int
    spec: MachineSpec
    keeps_files: bool = False


async def reserve(
    session: AsyncSession, request: LeaseRequest, offers: Sequence[Offer], keys: LeaseKeys, limits: Limits
) -> Lease:
    """Write the lease for the best free offer, or for none. One at a time per account, so no offer is taken twice.

    A holder whose lease is still good keeps it: a repeated call never makes a second one beside it, whatever the
    holder's own row says it has. The caller holds that row. `offers`: best first.

    Raises:
        SpendingCapReached, GpuLimitReached: the user's limits would be passed.
        NoOfferFree: every offer is reserved by another flow, was tried for this holder, or its host failed lately.
    """
    if (present := await session.scalar(select(Lease).where(of_holder(request.holder), GOOD))) is not None:
        return present
    await session.execute(select(Account.id).where(Account.id == request.account_id).with_for_update())
    shunned_offers, shunned_hosts = await _shunned(session, request.account_id, request.holder)
    free = [each for each in offers if each.id not in shunned_offers and each.host_id not in shunned_hosts]
    if not free:
        raise NoOfferFree
    await check_limits(session, request.user_id, free[0], limits)
    lease = _lease(await installation_id(session), request, free[0], keys)
    session.add(lease)
    await session.flush()
    return lease


async def _shunned(session: AsyncSession, account_id: int, holder: Holder) -> tuple[set[str], set[str]]:
    """Offers that are taken, or failed this holder lately; hosts that failed one of ours lately."""
    lately = func.coalesce(Lease.closed_at, func.now()) > func.now() - TRIED_LATELY
    tried = and_(of_holder(holder), Lease.outcome != LeaseOutcome.SERVED, lately)
    taken_or_tried = or_(and_(Lease.account_id == account_id, OPEN), tried)
    failed = and_(
        func.coalesce(Lease.closed_at, func.now()) > func.now() - RECENT_FAILURE,
        Lease.outcome.in_([LeaseOutcome.BOOT_FAILED, LeaseOutcome.LOST]),
    )
    rows = await session.execute(
        select(Lease.offer_id, Lease.host_id, taken_or_tried, failed).where(or_(taken_or_tried, failed))
    )
    offers, hosts = set(), set()
    for offer_id, host_id, is_taken, has_failed in rows:
        offers |= {offer_id} if is_taken else set()
        hosts |= {host_id} if has_failed else set()
    return offers, hosts


def _lease(installation: str, request: LeaseRequest, offer: Offer, keys: LeaseKeys) -> Lease:
    lease_id = new_id("lease")
    return Lease(
        id=lease_id,
        account_id=request.account_id,
        provider_key_id=request.provider_key_id,
        user_id=request.user_id,
        holder_kind=request.holder.kind,
        holder_id=request.holder.id,
        label=str(Label(installation, lease_id)),
        spec=request.spec.model_dump(mode="json"),
        offer_id=offer.id,
        host_id=offer.host_id,
        gpu_name=offer.gpu_name,
        num_gpus=offer.num_gpus,
        price_usd_per_hour=offer.price_usd_per_hour,
        offer=offer.model_dump(mode="json"),
        storage_usd_per_hour=offer.storage_usd_per_gb_hour * usd(request.spec.disk_gb),
        keeps_files=request.keeps_files,
        public_key=keys.public,
        sealed_private_key=keys.sealed_private,
    )


def holder_of(lease: Lease) -> Holder:
    return Holder(kind=lease.holder_kind, id=lease.holder_id)


def of_holder(holder: Holder) -> ColumnElement[bool]:
    """The condition that a lease serves, or served, this holder."""
    return and_(Lease.holder_kind == holder.kind, Lease.holder_id == holder.id)


def of_instance(instance_id: int) -> ColumnElement[bool]:
    return of_holder(instance_holder(instance_id))


async def leases_of_instance(session: AsyncSession, instance_id: int) -> Sequence[Lease]:
    """Every attempt made for an instance, the first one first."""
    return (await session.scalars(select(Lease).where(of_instance(instance_id)).order_by(Lease.created_at))).all()


async def mark_asked(session: AsyncSession, lease_id: str) -> bool:
    """Compare-and-set right before the cloud is asked. False: somebody asked before, so look instead of asking."""
    asked = await session.execute(
        update(Lease)
        .where(Lease.id == lease_id, Lease.asked_at.is_(None), Lease.state == LeaseState.RESERVED, Lease.wanted)
        .values(asked_at=func.clock_timestamp(), state=LeaseState.ASKED)
        .returning(Lease.id)
    )
    return asked.scalar() is not None


async def seconds_since_asked(session: AsyncSession, lease_id: str) -> float:
    """By the database's clock, as all times of a lease are."""
    age = func.extract("epoch", func.clock_timestamp() - Lease.asked_at)
    return float(await session.scalar(select(age).where(Lease.id == lease_id)) or 0.0)


async def mark_rented(session: AsyncSession, lease_id: str, cloud_id: str) -> None:
    """The cloud's id is known. A lease that is being released keeps its state, and its machine will be released."""
    await session.execute(
        update(Lease)
        .where(Lease.id == lease_id, Lease.cloud_id.is_(None))
        .values(cloud_id=cloud_id, rented_at=func.coalesce(Lease.asked_at, func.clock_timestamp()))
    )
    await session.execute(
        update(Lease).where(Lease.id == lease_id, Lease.state == LeaseState.ASKED).values(state=LeaseState.RENTED)
    )


async def mark_running(session: AsyncSession, lease_id: str, host_key: str) -> None:
    """SSH answered with this host key, and the GPU works. From now on only that key is accepted."""
    await session.execute(
        update(Lease)
        .where(Lease.id == lease_id, Lease.state == LeaseState.RENTED)
        .values(
            state=LeaseState.RUNNING,
            outcome=LeaseOutcome.WORKING,
            host_key=host_key,
            running_at=func.coalesce(Lease.running_at, func.clock_timestamp()),
        )
    )


async def note_way(session: AsyncSession, lease_id: str, way: SshWay) -> None:
    """By which of its two ways the machine was reached over SSH."""
    await session.execute(update(Lease).where(Lease.id == lease_id).values(ssh_way=way))


async def mark_releasing(session: AsyncSession, lease_id: str, outcome: LeaseOutcome, reason: str) -> None:
    """From here the lease can only close. The first outcome and reason stand."""
    await session.execute(
        update(Lease)
        .where(Lease.id == lease_id, Lease.state.not_in([LeaseState.RELEASING, LeaseState.CLOSED]))
        .values(
            state=LeaseState.RELEASING,
            outcome=outcome,
            reason=reason,
            wanted=False,
            releasing_at=func.clock_timestamp(),
        )
    )


async def mark_closed(session: AsyncSession, lease_id: str) -> None:
    """The cloud said that it is gone."""
    await session.execute(
        update(Lease)
        .where(Lease.id == lease_id, Lease.state == LeaseState.RELEASING)
        .values(state=LeaseState.CLOSED, closed_at=func.clock_timestamp())
    )


async def request_release(session: AsyncSession, lease_id: str, holder: Holder) -> None:
    """The holder needs the machine no longer. Ignored when the lease has another holder by now."""
    await session.execute(update(Lease).where(Lease.id == lease_id, of_holder(holder)).values(wanted=False))


async def unmark_asked(session: AsyncSession, lease_id: str) -> None:
    """The request surely never happened, so it may be made again. Only who asked may say so."""
    await session.execute(
        update(Lease)
        .where(Lease.id == lease_id, Lease.state == LeaseState.ASKED, Lease.cloud_id.is_(None))
        .values(asked_at=None, state=LeaseState.RESERVED)
    )


async def hand_over(session: AsyncSession, lease_id: str, old: Holder, new: Holder) -> bool:
    """Compare-and-set of the holder. False: the lease has another holder by now, or is being released.

    The new holder exists before this is called; from here a late release by the old one is ignored.
    """
    ending = [LeaseState.RELEASING, LeaseState.CLOSED]
    handed = await session.execute(
        update(Lease)
        .where(Lease.id == lease_id, of_holder(old), Lease.wanted, Lease.state.not_in(ending))
        .values(holder_kind=new.kind, holder_id=new.id)
        .returning(Lease.id)
    )
    return handed.scalar() is not None


async def mark_seen(session: AsyncSession, lease_id: str, seen: dict[str, Any]) -> None:
    await session.execute(update(Lease).where(Lease.id == lease_id).values(seen=seen))
