"""One look at all machines of an account that we hold leases for: one listing for all, never one poll a machine."""

from datetime import UTC, datetime

from sqlalchemy import select
from temporalio import activity

from activities.errors import NotYet, each_alone, provider_errors
from clouds.connections import Providers
from clouds.errors import NotOurTurn
from clouds.provider import Listing, Provider, Verb
from clouds.rate_limits import Urgency
from db.machines.leases import OPEN, mark_seen
from db.machines.tables import Lease
from domain.machines.labels import label_of
from domain.machines.machines import MachineSeen, Seen, is_news
from domain.machines.phases import LeaseState
from failpoints import Failpoint, hit
from workflow_client.client import WorkflowClient


class WatchActivities:
    def __init__(self, providers: Providers, workflows: WorkflowClient) -> None:
        self._providers = providers
        self._workflows = workflows

    @activity.defn
    async def look_at_account(self, account_id: int) -> None:
        """List the account's leased machines and tell each MachineWorkflow whose machine changed.

        Ends when no lease is open; until then it asks to be called again, soon while anything moves.
        """
        held = [lease for lease in await self._leases(account_id) if lease.asked_at is not None]
        if not held:
            return
        attempt = activity.info().attempt
        with provider_errors():
            await self._providers.take_turn(account_id, Verb.LIST, Urgency.MOVING, attempt)
            async with self._providers.calling(held[0].provider_key_id, Verb.LIST) as provider:
                await self._look(provider, await self._this_look(held, attempt))
        raise NotYet("machines are held", self._pause(held))

    async def _this_look(self, held: list[Lease], attempt: int) -> list[Lease]:
        """As many as fit into one page, for each page is a request; look by look everyone has a turn."""
        rows = (await self._providers.cloud_of(held[0].account_id)).capabilities.listing_rows
        looks = [held[begin : begin + rows] for begin in range(0, len(held), rows)]
        return looks[attempt % len(looks)]

    async def _look(self, provider: Provider, leases: list[Lease]) -> None:
        listing = await provider.list([label_of(lease.label) for lease in leases])
        await hit(Failpoint.WATCH_LISTED)
        with each_alone() as alone:
            for lease in leases:
                with alone:
                    await self._tell(provider, lease, listing)

    def _pause(self, held: list[Lease]) -> float:
        settings = self._providers.settings
        moving = any(lease.state.is_moving or _unsettled(lease) for lease in held)
        return settings.watch_seconds if moving else settings.sweep_seconds

    async def _leases(self, account_id: int) -> list[Lease]:
        async with self._providers.database.begin() as session:
            rows = await session.scalars(select(Lease).where(OPEN, Lease.account_id == account_id).order_by(Lease.id))
            return list(rows)

    async def _tell(self, provider: Provider, lease: Lease, listing: Listing) -> None:
        if lease.cloud_id is None or lease.state is LeaseState.RELEASING:
            return
        old = MachineSeen.model_validate(lease.seen)
        new = await self._seen(provider, lease, lease.cloud_id, listing, old)
        if new is None or new.same_as(old):
            return
        new.since = datetime.now(UTC) if new.state is not old.state else old.since
        if is_news(old, new, starts=lease.state is LeaseState.STARTING):
            await self._workflows.seen(lease.id, new)  # told first: dying in between tells it twice, never not at all
        await hit(Failpoint.WATCH_TOLD)
        lease.seen = new.model_dump(mode="json")
        async with self._providers.database.begin() as session:
            await mark_seen(session, lease.id, lease.seen)

    async def _seen(
        self, provider: Provider, lease: Lease, cloud_id: str, listing: Listing, old: MachineSeen
    ) -> MachineSeen | None:
        """What it looks like now. None: nobody knows.

        A listing without it is a hint, so its own page is asked; before it is given up, a witness (witness.py). One
        that has a row which may be its own is no hint at all, and then only its page can say what it looks like.
        """
        machine = next((each for each in listing.machines if each.cloud_id == cloud_id), None)
        if machine is None:
            try:
                await self._providers.take_turn(lease.account_id, Verb.GET)
            except NotOurTurn:
                return None
            may_be_hidden = listing.may_hide(label_of(lease.label))
            machine = await provider.get(cloud_id)
            if machine is None:
                return None if may_be_hidden else _denied(old)
            if not may_be_hidden:
                return None
        return machine.seen.model_copy(update={name: getattr(old, name) for name in machine.unreadable})


def _denied(old: MachineSeen) -> MachineSeen:
    """Where it answered last stays known: whether it still does decides whether it is lost."""
    return old.model_copy(update={"state": Seen.ABSENT, "actual_status": None, "message": ""})


def _unsettled(lease: Lease) -> bool:
    """One that runs and looks lost, or is stopped and looks up, is looked at often until that is sure."""
    is_up = MachineSeen.model_validate(lease.seen).state is Seen.UP
    return (lease.state is LeaseState.RUNNING and not is_up) or (lease.state is LeaseState.STOPPED and is_up)
