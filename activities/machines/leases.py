"""A lease's row, as its MachineWorkflow lives by it."""

from pydantic import BaseModel
from temporalio import activity

from db.events import record_event
from db.machines import leases
from db.machines.tables import Lease
from db.session import Database
from domain.machines.machines import MachineSeen
from domain.machines.phases import LeaseOutcome, LeaseState
from domain.machines.spec import MachineSpec
from domain.workflow_contracts import LeaseView
from workflow_client.client import WorkflowClient


class LeaseEnding(BaseModel):
    """`keeps_files`: whether its machine kept files when its end was decided."""

    lease_id: str
    outcome: LeaseOutcome
    reason: str
    keeps_files: bool


class LeaseNews(BaseModel):
    """`what`: happened to the lease's machine, in words."""

    lease_id: str
    what: str


def lease_view(lease: Lease) -> LeaseView:
    return LeaseView(
        state=lease.state,
        wanted=lease.wanted,
        account_id=lease.account_id,
        holder=leases.holder_of(lease),
        seen=MachineSeen.model_validate(lease.seen),
        keeps_files=lease.keeps_files,
        power=lease.power,
        start_refused=lease.start_refused is not None,
        has_agent=MachineSpec.model_validate(lease.spec).has_agent,
    )


class LeaseActivities:
    def __init__(self, database: Database, workflows: WorkflowClient) -> None:
        self._database = database
        self._workflows = workflows

    @activity.defn
    async def look_at_lease(self, lease_id: str) -> LeaseView:
        return await read_lease(self._database, lease_id)

    @activity.defn
    async def watch_account(self, account_id: int) -> None:
        """Have the account's machines looked at, now and while they move."""
        await self._workflows.watch(account_id)

    @activity.defn
    async def record_ending(self, ending: LeaseEnding) -> LeaseView:
        """From here on the lease is only being released; why is kept for its user.

        Not when its holder came to keep files on it after that was decided: then it stands as it was, to decide anew.
        """
        async with self._database.begin() as session:
            lease = await session.get_one(Lease, ending.lease_id, with_for_update=True)
            outdated = lease.wanted and lease.keeps_files and not ending.keeps_files
            if not outdated and lease.state not in (LeaseState.RELEASING, LeaseState.CLOSED):
                await leases.mark_releasing(session, lease.id, ending.outcome, ending.reason)
                text = f"{lease.gpu_name}, offer {lease.offer_id}: {ending.reason}"
                await record_event(session, lease.user_id, str(leases.holder_of(lease)), ending.outcome.value, text)
                await session.refresh(lease)
            return lease_view(lease)

    @activity.defn
    async def tell_holder(self, news: LeaseNews) -> None:
        """Have the lease's holder read its rows again."""
        await tell_holder(self._database, self._workflows, news.lease_id, news.what)


async def read_lease(database: Database, lease_id: str) -> LeaseView:
    """The lease as it stands."""
    async with database.begin() as session:
        return lease_view(await session.get_one(Lease, lease_id))


async def tell_holder(database: Database, workflows: WorkflowClient, lease_id: str, what: str = "") -> LeaseView:
    """Have the lease's holder read its rows again. One that does not run reads them when it starts.

    Returns the lease as it stands. `what`: happened, in words; else the lease's state says it.
    """
    view = await read_lease(database, lease_id)
    await workflows.changed(view.holder.workflow_id, what or f"its machine is {view.state.value}")
    return view
