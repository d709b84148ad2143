"""One look at all machines of an account that we hold leases for: one listing for all, never one poll a machine."""

from datetime import UTC, datetime

from sqlalchemy import select
from temporalio import activity

from activities.errors import NotYet
from clients.vast import PAGE, VastClient
from clients.vast_types import VastInstance
from clouds.connections import Clouds
from clouds.rate_limits import ApiQuota, Urgency
from db.machines.leases import OPEN, mark_seen
from db.machines.tables import Lease
from domain.machines.machines import MachineSeen, Seen
from domain.machines.phases import LeaseState
from failpoints import Failpoint, hit
from workflow_client.client import WorkflowClient

UP = {"running"}
BOOTING = {None, "created", "loading", "rebooting"}
STOPPED = {"exited", "stopped", "frozen"}
ABANDONED = "OCI runtime create failed"


class WatchActivities:
    def __init__(self, clouds: Clouds, workflows: WorkflowClient) -> None:
        self._clouds = clouds
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
        wait = await self._clouds.seconds_to_wait(account_id, ApiQuota.LIST, Urgency.MOVING, attempt)
        if wait:
            raise NotYet("waiting for our turn to list", wait)
        async with self._clouds.calling(held[0].provider_key_id, ApiQuota.LIST) as client:
            looked_at = _this_look(held, attempt)
            found = await client.list_instances([lease.label for lease in looked_at])
            await hit(Failpoint.WATCH_LISTED)
            for lease in looked_at:
                await self._tell(client, lease, {each.id: each for each in found})
        raise NotYet("machines are held", self._pause(held))

    def _pause(self, held: list[Lease]) -> float:
        settings = self._clouds.settings
        moving = any(lease.state.is_moving or _unsettled(lease) for lease in held)
        return settings.watch_seconds if moving else settings.sweep_seconds

    async def _leases(self, account_id: int) -> list[Lease]:
        async with self._clouds.database.begin() as session:
            rows = await session.scalars(select(Lease).where(OPEN, Lease.account_id == account_id).order_by(Lease.id))
            return list(rows)

    async def _tell(self, client: VastClient, lease: Lease, listed: dict[int, VastInstance]) -> None:
        if lease.cloud_id is None or lease.state is LeaseState.RELEASING:
            return
        instance = listed.get(lease.cloud_id)
        if instance is None and not await self._surely_absent(client, lease):
            return
        old, new = MachineSeen.model_validate(lease.seen), machine_seen(instance)
        if new.same_as(old):
            return
        new.since = datetime.now(UTC) if new.state is not old.state else old.since
        await self._workflows.seen(lease.id, new)  # told first: dying in between tells it twice, never not at all
        await hit(Failpoint.WATCH_TOLD)
        lease.seen = new.model_dump(mode="json")
        async with self._clouds.database.begin() as session:
            await mark_seen(session, lease.id, lease.seen)

    async def _surely_absent(self, client: VastClient, lease: Lease) -> bool:
        """A listing without it is a hint; its own page without it is the second, independent word."""
        if lease.cloud_id is None or await self._clouds.seconds_to_wait(lease.account_id, ApiQuota.SHOW):
            return False
        return await client.show_instance(lease.cloud_id) is None


def _this_look(held: list[Lease], attempt: int) -> list[Lease]:
    """As many as fit into one page, for each page is a request; look by look everyone has a turn."""
    looks = [held[begin : begin + PAGE] for begin in range(0, len(held), PAGE)]
    return looks[attempt % len(looks)]


def _unsettled(lease: Lease) -> bool:
    """A running lease whose machine looks lost is looked at often until that is sure."""
    return lease.state is LeaseState.RUNNING and MachineSeen.model_validate(lease.seen).state is not Seen.UP


def machine_seen(instance: VastInstance | None) -> MachineSeen:
    """The cloud's row in our words (clouds.md A5). A status that we do not know is unknown, not a failure."""
    if instance is None:
        return MachineSeen(state=Seen.ABSENT)
    return MachineSeen(
        state=_state(instance),
        actual_status=instance.actual_status,
        message=(instance.status_msg or "").strip()[:200],
        ssh_host=instance.ssh_host,
        ssh_port=instance.ssh_port,
        public_ipaddr=instance.public_ipaddr,
        ports=instance.ports,
    )


def _state(instance: VastInstance) -> Seen:
    status = instance.actual_status
    if instance.next_state in ("destroyed", "Destroyed"):
        return Seen.ABSENT
    if status == "created" and instance.intended_status == "stopped" and ABANDONED in (instance.status_msg or ""):
        return Seen.BROKEN
    if status in UP:
        return Seen.UP if instance.intended_status != "stopped" else Seen.STOPPED  # reclaimed: clouds.md A5
    if status in STOPPED:
        return Seen.STOPPED
    if status == "stopping":
        return Seen.STOPPING
    if status in BOOTING:
        return Seen.BOOTING
    return Seen.OFFLINE if status == "offline" else Seen.UNKNOWN
