"""The reaper's dealings with one account: list it completely, judge, and carry out a sentence after one more look."""

from datetime import timedelta

from pydantic import BaseModel
from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.errors import Fault, Final, NotYet
from activities.machines.watching import STOPPED
from clients.vast import VastClient
from clients.vast_errors import VastRefused
from clients.vast_types import VastInstance
from clouds.connections import Clouds
from clouds.rate_limits import ApiQuota, Urgency
from db.accounts.tables import ProviderKey
from db.alarms import close_alarms, raise_alarm
from db.machines import orphans
from db.machines.leases import OPEN
from db.machines.tables import Lease
from db.tables import Installation
from domain.accounts.phases import KeyStatus
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
REFUSED_KEY_AGAIN = timedelta(minutes=5)


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
    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds
        self._database = clouds.database
        settings = clouds.settings
        self._policy = Policy.model_validate(
            {"apart": settings.reap_apart_seconds, "grace": settings.orphan_grace_seconds}
        )

    @activity.defn
    async def accounts_to_sweep(self) -> list[int]:
        """The accounts that we have a key for; one whose every key is refused is tried again only now and then."""
        async with self._database.begin() as session:
            last_try = func.coalesce(ProviderKey.checked_at, ProviderKey.created_at)
            worth_it = or_(
                ProviderKey.status != KeyStatus.REFUSED, last_try < func.clock_timestamp() - REFUSED_KEY_AGAIN
            )
            known = ProviderKey.account_id.is_not(None)
            rows = await session.scalars(select(ProviderKey.account_id).where(known, worth_it).distinct())
            return sorted(row for row in rows if row is not None)

    @activity.defn
    async def sweep_account(self, account_id: int) -> Sweep:
        """List the account completely, then read the ledger, and say what is to be done.

        What is suspect is noted whatever comes of it; more than the brake allows is an alarm, and sentences only for
        what a person has looked at (`dumont orphans --go-on`).

        Raises:
            Final: KEY_REFUSED; a later sweep tries again.
        """
        listing = await self._listing(account_id)
        async with self._database.begin() as session:
            home = (await session.scalars(select(Installation))).one()
            leases = await orphans.known_leases(session, [each.label for each in listing if each.label])
            found = candidates(listing, leases, _ours(home))
            await _tell_of_former(session, candidates(listing, {}, home.former_uids))
            before = await orphans.sightings(session, account_id)
            now = await orphans.database_time(session)
            judged = action_requests(found, before, now, self._policy)
            await orphans.note(session, account_id, found)
            live = await session.scalar(select(func.count()).where(OPEN, Lease.account_id == account_id))
            done = within_safety_limit(judged, before, now, live or 0)
            tell = raise_alarm if len(done) < len(judged) else close_alarms
            await tell(session, SAFETY_LIMIT_ALARM, _too_many(account_id))
        return Sweep(account_id=account_id, listed=len(listing), candidates=len(found), action_requests=done)

    async def _listing(self, account_id: int) -> list[Listed]:
        attempt = activity.info().attempt
        key = await self._key_of(account_id)
        if attempt > 1 and key.status is KeyStatus.REFUSED:
            raise Final(Fault.KEY_REFUSED, "the cloud refuses every key of this account")
        wait = await self._clouds.seconds_to_wait(account_id, ApiQuota.LIST, Urgency.SWEEP, attempt)
        if wait:
            raise NotYet("waiting for our turn to list", wait)
        async with self._clouds.calling(key.id, ApiQuota.LIST) as client:
            return [_listed(instance) for instance in await client.list_instances(turn=self._clouds.pages(account_id))]

    @activity.defn
    async def carry_out(self, execution: Execution) -> bool:
        """Stop or destroy one machine, if a look at itself and at the ledger still says so. True: done.

        What the cloud refuses to do is told of and left to the next sweep; the other machines do not wait for it.
        """
        action_request, account_id = execution.action_request, execution.account_id
        async with self._clouds.calling((await self._key_of(account_id)).id, ApiQuota.DESTROY) as client:
            await self._turn(account_id, ApiQuota.SHOW)
            instance = await client.show_instance(action_request.cloud_id)
            if instance is None or not await self._is_still_candidate(_listed(instance), action_request):
                return False
            await self._turn(account_id, ApiQuota.DESTROY)
            refusal = await _ask(client, action_request)
        async with self._database.begin() as session:
            if refusal is not None:
                await raise_alarm(session, "orphan_refused", _not_done(action_request))
                return False
            await orphans.record_action(session, account_id, action_request.cloud_id, action_request.action)
            await raise_alarm(session, "orphan", _told(action_request))
            await close_alarms(session, "orphan_refused", _not_done(action_request))
        return True

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

    async def _turn(self, account_id: int, endpoint: ApiQuota) -> None:
        wait = await self._clouds.seconds_to_wait(account_id, endpoint, Urgency.SWEEP, activity.info().attempt)
        if wait:
            raise NotYet(f"waiting for our turn to call the cloud ({endpoint.value[0]})", wait)


async def _ask(client: VastClient, action_request: ActionRequest) -> VastRefused | None:
    """The cloud's refusal, if it refuses."""
    try:
        if action_request.action is ReapAction.DESTROY:
            await client.destroy_instance(action_request.cloud_id)
        else:
            await client.set_state(action_request.cloud_id, "stopped")
    except VastRefused as error:
        return error
    return None


def _ours(home: Installation) -> set[str]:
    return {home.uid, *home.adopted_uids}


async def _tell_of_former(session: AsyncSession, found: list[Candidate]) -> None:
    """Machines of the installation that we were copied from: if it is gone, nobody else would tell of them."""
    if not found:
        return await close_alarms(session, "former")
    text = (
        "Machines of the installation that this one was copied from are rented. They are left alone; if that "
        "installation is gone, dumont adopt --former lets the reaper release them."
    )
    await raise_alarm(session, "former", text)


def _listed(instance: VastInstance) -> Listed:
    return Listed(
        cloud_id=instance.id,
        label=instance.label,
        is_stopped=instance.actual_status in STOPPED or instance.actual_status == "stopping",
    )


def _too_many(account_id: int) -> str:
    return (
        f"So many machines of account {account_id} look as if nobody held them that it is more likely our own mistake: "
        "nothing is done to them. dumont orphans shows them; dumont orphans --go-on lets the reaper act on just those."
    )


def _named(action_request: ActionRequest) -> str:
    return f"Machine {action_request.cloud_id} with label {action_request.label}, which no open lease accounts for,"


def _told(action_request: ActionRequest) -> str:
    what = (
        "was destroyed" if action_request.action is ReapAction.DESTROY else "was stopped, and is destroyed after a day"
    )
    return f"{_named(action_request)} {what}."


def _not_done(action_request: ActionRequest) -> str:
    return (
        f"{_named(action_request)} is to be "
        f"{'destroyed' if action_request.action is ReapAction.DESTROY else 'stopped'}, and the cloud refuses."
    )
