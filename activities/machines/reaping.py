"""The reaper's dealings with one account: list it completely, judge, and carry out a sentence after one more look."""

from datetime import timedelta
from itertools import product

from pydantic import BaseModel
from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.errors import Fault, Final, provider_errors
from clouds.connections import Providers
from clouds.errors import Refused, Unavailable
from clouds.provider import Listing, Machine, Provider, Verb
from clouds.rate_limits import Urgency
from db.accounts.tables import Account, ProviderKey
from db.alarms import close_alarms, raise_alarm
from db.machines import orphans
from db.machines.leases import OPEN
from db.machines.tables import Lease
from db.tables import Installation
from domain.accounts.phases import KeyStatus
from domain.machines.machines import Seen
from domain.machines.reaping import (
    ActionRequest,
    Candidate,
    Listed,
    Policy,
    ReapAction,
    action_requests,
    candidates,
    within_safety_limit,
)

SAFETY_LIMIT_ALARM = "reaper_safety_limit"
REFUSED_ALARM = "orphan_refused"
HIDDEN_ALARM = "machine_unreadable"
UNSWEPT_ALARM = "account_not_swept"
UNSWEPT_AFTER = timedelta(minutes=10)
REFUSED_KEY_AGAIN = timedelta(minutes=5)
TRIES = 2
"""What the cloud does not do by then, in one sweep, is told of."""


class Sweep(BaseModel):
    """What came of looking at one account."""

    account_id: int
    listed: int
    candidates: int = 0
    action_requests: list[ActionRequest] = []


class Execution(BaseModel):
    account_id: int
    action_request: ActionRequest


class ReapActivities:
    def __init__(self, providers: Providers) -> None:
        self._providers = providers
        self._database = providers.database
        settings = providers.settings
        self._apart = timedelta(seconds=settings.reap_apart_seconds)
        self._unswept_after = max(UNSWEPT_AFTER, timedelta(seconds=2 * settings.reap_seconds))
        self._grace = timedelta(seconds=settings.orphan_grace_seconds)

    @activity.defn
    async def accounts_to_sweep(self) -> list[int]:
        """The accounts that we have a key for; one whose every key is refused is tried again only now and then.

        Whatever the reason, one that was not swept for long is an alarm, which ends with its next sweep.
        """
        async with self._database.begin() as session:
            worth_it = or_(ProviderKey.status != KeyStatus.REFUSED, _is_worth_another_try())
            known = ProviderKey.account_id.is_not(None)
            with_key = Account.id.in_(select(ProviderKey.account_id))
            last_sweep = func.coalesce(Account.swept_at, Account.created_at)
            unswept = last_sweep < func.clock_timestamp() - self._unswept_after
            for account_id in await session.scalars(select(Account.id).where(unswept, with_key).order_by(Account.id)):
                await raise_alarm(session, UNSWEPT_ALARM, _unswept(account_id))
            rows = await session.scalars(select(ProviderKey.account_id).where(known, worth_it).distinct())
            return sorted(row for row in rows if row is not None)

    @activity.defn
    async def sweep_account(self, account_id: int) -> Sweep:
        """List the account completely, then read the ledger, and say what is to be done.

        What is suspect is noted whatever comes of it. More than the safety limit allows is an alarm, and only what a
        person has looked at is dealt with (`dumont orphans --go-on`).

        Raises:
            Final: KEY_REFUSED; a later sweep tries again.
        """
        await self._try_refused_keys_again(account_id)
        listing = await self._listing(account_id)
        listed = [_listed(machine) for machine in listing.machines]
        policy = Policy(apart=self._apart, grace=self._grace, stops=await self._stops(account_id))
        async with self._database.begin() as session:
            home = (await session.scalars(select(Installation))).one()
            leases = await orphans.known_leases(session, [str(each.label) for each in listed if each.label])
            found = candidates(listed, leases, _ours(home))
            await _tell_of_former(session, candidates(listed, {}, home.former_uids))
            tell = raise_alarm if _hides_ours(listing, home) else close_alarms
            await tell(session, HIDDEN_ALARM, _hidden(account_id))
            before = await orphans.sightings(session, account_id)
            now = await orphans.database_time(session)
            judged = action_requests(found, before, now, policy)
            gone = await orphans.note(session, account_id, found, listing.hidden)
            for (cloud_id, label), action in product(gone, ReapAction):
                ended = ActionRequest(cloud_id=cloud_id, label=label, action=action)
                await close_alarms(session, REFUSED_ALARM, _not_done(ended))
            live = await session.scalar(select(func.count()).where(OPEN, Lease.account_id == account_id))
            done = within_safety_limit(judged, before, now, live or 0)
            tell = raise_alarm if len(done) < len(judged) else close_alarms
            await tell(session, SAFETY_LIMIT_ALARM, _too_many(account_id))
            swept = update(Account).where(Account.id == account_id).values(swept_at=func.clock_timestamp())
            await session.execute(swept)
            await close_alarms(session, UNSWEPT_ALARM, _unswept(account_id))
        return Sweep(account_id=account_id, listed=len(listed), candidates=len(found), action_requests=done)

    async def _try_refused_keys_again(self, account_id: int) -> None:
        """While another key of the account serves, nobody else does, and whoever waits for this one would for ever."""
        async with self._database.begin() as session:
            mine = ProviderKey.account_id == account_id, ProviderKey.retired_at.is_(None)
            due = (await session.scalars(select(ProviderKey.id).where(*mine, _is_worth_another_try()))).all()
        for key_id in due:
            with provider_errors():
                await self._turn(account_id, Verb.ACCOUNT)
            await self._providers.try_again(key_id)

    async def _listing(self, account_id: int) -> Listing:
        key = await self._key_of(account_id)
        if activity.info().attempt > 1 and key.status is KeyStatus.REFUSED:
            raise Final(Fault.KEY_REFUSED, "the cloud refuses every key of this account")
        with provider_errors():
            await self._turn(account_id, Verb.LIST)
            async with self._providers.calling(key.id, Verb.LIST) as provider:
                return await provider.list(turn=self._providers.page_turns(account_id))

    @activity.defn
    async def carry_out(self, execution: Execution) -> bool:
        """Stop or destroy one machine, if a look at itself and at the ledger still says so. True: done.

        What the cloud does not do, or refuses to, is told of and left to the next sweep: no other waits for it.
        """
        action_request, account_id = execution.action_request, execution.account_id
        stops = await self._stops(account_id)
        key = await self._key_of(account_id)
        with provider_errors():
            async with self._providers.calling(key.id, Verb.DELETE) as provider:
                try:
                    await self._turn(account_id, Verb.GET)
                    machine = await provider.get(action_request.cloud_id)
                    if machine is None or not await self._is_still_candidate(_listed(machine), action_request):
                        return False
                    await self._turn(account_id, Verb.DELETE)
                    await _ask(provider, action_request, stops)
                except Refused:
                    return await self._tell_not_done(action_request)
                except Unavailable:
                    if activity.info().attempt < TRIES:
                        raise
                    return await self._tell_not_done(action_request)
        async with self._database.begin() as session:
            await orphans.record_action(session, account_id, action_request.cloud_id, action_request.action)
            await raise_alarm(session, "orphan", _told(action_request, stops))
            await close_alarms(session, REFUSED_ALARM, _not_done(action_request))
        return True

    async def _tell_not_done(self, action_request: ActionRequest) -> bool:
        async with self._database.begin() as session:
            await raise_alarm(session, REFUSED_ALARM, _not_done(action_request))
        return False

    async def _is_still_candidate(self, listed: Listed, action_request: ActionRequest) -> bool:
        """A row may have been written, or an answer arrived, since the sweep."""
        async with self._database.begin() as session:
            home = (await session.scalars(select(Installation))).one()
            leases = await orphans.known_leases(session, [action_request.label])
        found: list[Candidate] = candidates([listed], leases, _ours(home))
        return [each.label for each in found] == [action_request.label]

    async def _key_of(self, account_id: int) -> ProviderKey:
        async with self._database.begin() as session:
            best = (ProviderKey.status == KeyStatus.VALID).desc(), ProviderKey.id.desc()
            found = await session.scalars(
                select(ProviderKey).where(ProviderKey.account_id == account_id).order_by(*best).limit(1)
            )
            key: ProviderKey = found.one()
            return key

    async def _stops(self, account_id: int) -> bool:
        return (await self._providers.cloud_of(account_id)).capabilities.stops

    async def _turn(self, account_id: int, verb: Verb) -> None:
        await self._providers.take_turn(account_id, verb, Urgency.SWEEP, activity.info().attempt)


def _is_worth_another_try() -> ColumnElement[bool]:
    last_try = func.coalesce(ProviderKey.checked_at, ProviderKey.created_at)
    return (ProviderKey.status == KeyStatus.REFUSED) & (last_try < func.clock_timestamp() - REFUSED_KEY_AGAIN)


async def _ask(provider: Provider, action_request: ActionRequest, stops: bool) -> None:
    """Ask for the action. Where nothing can be stopped, nothing is asked."""
    if action_request.action is ReapAction.DESTROY:
        await provider.delete(action_request.cloud_id)
    elif stops:
        await provider.stop(action_request.cloud_id)


def _ours(home: Installation) -> set[str]:
    return {home.uid, *home.adopted_uids}


def _hides_ours(listing: Listing, home: Installation) -> bool:
    return any(label is None or label.installation_id in _ours(home) for label in listing.hidden)


async def _tell_of_former(session: AsyncSession, found: list[Candidate]) -> None:
    """Machines of the installation that we were copied from: if it is gone, nobody else would tell of them."""
    if not found:
        return await close_alarms(session, "former")
    text = (
        "Machines of the installation that this one was copied from are rented. They are left alone; if that "
        "installation is gone, dumont adopt --former lets the reaper release them."
    )
    await raise_alarm(session, "former", text)


def _listed(machine: Machine) -> Listed:
    return Listed(
        cloud_id=machine.cloud_id,
        label=machine.label,
        is_stopped=machine.seen.state in (Seen.STOPPED, Seen.STOPPING),
    )


def _too_many(account_id: int) -> str:
    return (
        f"So many machines of account {account_id} look as if nobody held them that it is more likely our own mistake: "
        "nothing is done to them. dumont orphans shows them; dumont orphans --go-on lets the reaper act on just those."
    )


def _unswept(account_id: int) -> str:
    return (
        f"Account {account_id} was not swept for {UNSWEPT_AFTER // timedelta(minutes=1)} minutes or more: a machine "
        "there that nobody holds is not found, and costs money."
    )


def _hidden(account_id: int) -> str:
    return (
        f"Account {account_id} lists a machine that may be ours, and it cannot be read which one it is: look at it in "
        "its cloud's console."
    )


def _named(action_request: ActionRequest) -> str:
    return f"Machine {action_request.cloud_id} with label {action_request.label}, which no open lease accounts for,"


def _told(action_request: ActionRequest, stops: bool) -> str:
    done = "was stopped" if stops else "cannot be stopped where it is"
    if action_request.action is ReapAction.DESTROY:
        return f"{_named(action_request)} was destroyed."
    return f"{_named(action_request)} {done}, and is destroyed after a day."


def _not_done(action_request: ActionRequest) -> str:
    done = "destroyed" if action_request.action is ReapAction.DESTROY else "stopped"
    return f"{_named(action_request)} is to be {done}, and the cloud refuses, or does not answer."
