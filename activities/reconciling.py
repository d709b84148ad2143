"""Rows are enough: start whatever an open row demands and no running workflow serves.

A Terminate click, an outgrown history, an api that died between commit and start, or a lost Temporal database therefore
costs time, never a machine. Every start and signal here is safe to repeat, and one that fails stops no other.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager

from sqlalchemy import select
from temporalio import activity
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest, ListWorkflowExecutionsResponse
from temporalio.client import Client

from activities.errors import NotYet, each_alone
from activities.instances.instances import machine_summary
from db.endpoints.tables import Endpoint
from db.instances.tables import Instance
from db.jobs.jobs import open_jobs
from db.jobs.tables import Job
from db.machines.leases import OPEN, holder_of
from db.machines.tables import Lease
from db.session import Database
from db.snapshots import snapshots
from domain import workflow_contracts
from domain.endpoints.phases import EndpointState
from domain.instances.phases import Desired, InstanceStatus
from domain.machines.phases import LeaseState, Power
from workflow_client.client import WorkflowClient

Alone = AbstractContextManager[None]
"""For one row: what goes wrong with it stops no other (activities/errors.py)."""
UNACTED = "the reconciler found rows that it has not acted on"
WITH_NOTHING_OPEN = 3
"""So many times rarer are the looks while no row is open and no workflow runs: only who dies on the way needs one."""
OVER = [InstanceStatus.DESTROYED, InstanceStatus.FAILED]

_S = InstanceStatus
_ON_THE_WAY_TO = {
    Desired.RUNNING: (_S.PROVISIONING, _S.STARTING, _S.RUNNING, _S.RESUMING),
    Desired.PAUSED: (_S.PAUSING, _S.PAUSED),
    Desired.HIBERNATED: (_S.PAUSING, _S.HIBERNATING, _S.HIBERNATED),
    Desired.DESTROYED: (_S.DESTROYING,),
}


class ReconcileActivities:
    def __init__(self, database: Database, temporal: Client, starting: WorkflowClient, every: float) -> None:
        self._database = database
        self._temporal = temporal
        self._workflows = starting
        self._every = every

    @activity.defn
    async def reconcile(self) -> None:
        """Start what is missing, and ask to be called again."""
        started, is_anything_open = await self._start_what_rows_demand()
        pause = self._every if is_anything_open else self._every * WITH_NOTHING_OPEN
        raise NotYet(f"{started} workflow(s) were missing" if started else "every row is served", pause)

    async def _start_what_rows_demand(self) -> tuple[int, bool]:
        """How many workflows were missing and are started, and whether anything is open at all."""
        running = await self._running()
        async with self._database.begin() as session:
            leases = (await session.scalars(select(Lease).where(OPEN))).all()
            alive = Instance.status.not_in(OVER)  # a thousand sleepers are read every few seconds: these columns only
            instances = (
                await session.execute(select(Instance.id, Instance.status, Instance.desired).where(alive))
            ).all()
            unclosed = Endpoint.state != EndpointState.CLOSED
            endpoints = (await session.execute(select(Endpoint.id, Endpoint.state).where(unclosed))).all()
            jobs = (await session.scalars(open_jobs())).all()
        is_anything_open = any((leases, instances, endpoints, jobs, running))
        with each_alone() as alone:
            await self._tell_closed(
                {workflow_contracts.machine_workflow_id(lease.id) for lease in leases}, running, alone
            )
            started = await self._start_machines(leases, running, alone)
            with_machine = {holder_of(lease).instance_id for lease in leases}
            started += await self._start_instances(instances, with_machine, running, alone)
            started += await self._start_endpoints(endpoints, running, alone)
            started += await self._start_jobs(jobs, running, alone)
            for account_id in {lease.account_id for lease in leases if lease.asked_at is not None}:
                if workflow_contracts.watch_workflow_id(account_id) not in running:
                    with alone:
                        await self._workflows.watch(account_id)
                        started += 1
            started += await self._start_snapshots(running, alone)
        return started, is_anything_open

    async def _start_snapshots(self, running: set[str], alone: Alone) -> int:
        """What shall be taken, and repositories that outlived the last of their snapshots."""
        async with self._database.begin() as session:
            rows = await snapshots.left_to_take(session)
            empty = await snapshots.left_to_remove(session)
        missing = [row for row in rows if workflow_contracts.snapshot_workflow_id(row.id) not in running]
        for row in missing:
            with alone:
                await self._workflows.start_snapshot(row.id, row.instance_id)
        for instance_id in empty:
            with alone:
                await self._workflows.tidy_vault(instance_id)
        return len(missing) + len(empty)

    async def _tell_closed(self, open_ones: set[str], running: set[str], alone: Alone) -> None:
        """A lease was closed behind its workflow's back (a restored or copied database): let it look."""
        for workflow_id in running:
            if workflow_id.startswith("machine-") and workflow_id not in open_ones:
                with alone:
                    await self._workflows.changed(workflow_id, UNACTED)

    async def _start_machines(self, leases: Iterable[Lease], running: set[str], alone: Alone) -> int:
        started = 0
        for lease in leases:
            workflow_id = workflow_contracts.machine_workflow_id(lease.id)
            with alone:
                if workflow_id not in running:
                    await self._workflows.start_machine(lease.id, machine_summary(lease), holder_of(lease))
                    started += 1
                elif waits_for_a_word(lease):
                    await self._workflows.changed(workflow_id, UNACTED)
        return started

    async def _start_jobs(self, jobs: Iterable[Job], running: set[str], alone: Alone) -> int:
        started = 0
        for job in jobs:
            served = workflow_contracts.job_workflow_id(job.id) in running
            if not served or not job.wanted:  # whoever cancelled it may have died before telling of it
                with alone:
                    await self._workflows.start_job(job.id, job.name)
                    started += not served
        return started

    async def _start_instances(
        self,
        instances: Iterable[tuple[int, InstanceStatus, Desired]],
        with_machine: set[int | None],
        running: set[str],
        alone: Alone,
    ) -> int:
        started = 0
        for instance_id, status, desired in instances:
            workflow_id = workflow_contracts.instance_workflow_id(instance_id)
            with alone:
                if workflow_id not in running:
                    await self._workflows.start_instance(instance_id)
                    started += 1
                elif _is_behind(status, desired, has_machine=instance_id in with_machine):
                    await self._workflows.changed(workflow_id, UNACTED)  # whoever wrote it may have died before telling
        return started

    async def _start_endpoints(
        self, endpoints: Iterable[tuple[str, EndpointState]], running: set[str], alone: Alone
    ) -> int:
        started = 0
        for endpoint_id, state in endpoints:
            workflow_id = workflow_contracts.endpoint_workflow_id(endpoint_id)
            with alone:
                if workflow_id not in running:
                    await self._workflows.start_endpoint(endpoint_id)
                    started += 1
                elif not state.is_open:
                    await self._workflows.changed(
                        workflow_id, UNACTED
                    )  # whoever closed it may have died before telling
        return started

    async def _running(self) -> set[str]:
        """Ids of our running workflows. Visibility may lag: a start that was not needed joins the running one."""
        kinds = ", ".join(
            f"'{kind}'"
            for kind in (
                workflow_contracts.MACHINE_WORKFLOW,
                workflow_contracts.INSTANCE_WORKFLOW,
                workflow_contracts.ENDPOINT_WORKFLOW,
                workflow_contracts.WATCH_WORKFLOW,
                workflow_contracts.JOB_WORKFLOW,
                workflow_contracts.SNAPSHOT_WORKFLOW,
            )
        )
        query = f"WorkflowType IN ({kinds}) AND ExecutionStatus = 'Running'"
        ids, page = set[str](), ListWorkflowExecutionsResponse()
        while True:  # the client's own iterator makes an object of many fields of each, and there are thousands
            page = await self._temporal.workflow_service.list_workflow_executions(
                ListWorkflowExecutionsRequest(
                    namespace=self._temporal.namespace,
                    page_size=1000,
                    query=query,
                    next_page_token=page.next_page_token,
                ),
                retry=True,
            )
            ids |= {each.execution.workflow_id for each in page.executions}
            if not page.next_page_token:
                return ids


def _is_behind(status: InstanceStatus, desired: Desired, *, has_machine: bool) -> bool:
    """Whether an instance's flow has not acted on what its rows say: it may never have been told."""
    is_gone = status is InstanceStatus.DESTROYING and not has_machine
    return is_gone or status not in _ON_THE_WAY_TO[desired]


def waits_for_a_word(lease: Lease) -> bool:
    """Whether its holder wrote what its flow has not acted on yet: it may never have been told."""
    if not lease.wanted:
        return lease.state is not LeaseState.RELEASING
    if lease.power is Power.STOPPED:
        return lease.state in (LeaseState.RUNNING, LeaseState.STARTING) and lease.start_refused is None
    return lease.state is LeaseState.STOPPED and lease.start_refused is None
