"""`python -m worker`: runs every workflow and activity. Any number of these may run, on any number of hosts."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import PollerBehaviorAutoscaling, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

import failpoints
from activities.endpoints.endpoints import EndpointActivities
from activities.endpoints.model_server import ModelServerActivities
from activities.failures import ShortFailures
from activities.heartbeats import Heartbeats
from activities.instances.idleness import IdlenessActivities
from activities.instances.instances import InstanceActivities
from activities.instances.power import InstancePowerActivities
from activities.jobs.artifacts import ArtifactActivities
from activities.jobs.checkpoints import CheckpointActivities
from activities.jobs.jobs import JobActivities
from activities.jobs.parking import ParkingActivities
from activities.jobs.shell import JobShellActivities
from activities.machines.agents import AgentActivities
from activities.machines.leases import LeaseActivities
from activities.machines.machines import MachineActivities
from activities.machines.pairing import PairingActivities
from activities.machines.power import PowerActivities
from activities.machines.probing import ProbeActivities
from activities.machines.reaping import ReapActivities
from activities.machines.shell import ShellActivities
from activities.machines.watching import WatchActivities
from activities.machines.witness import WitnessActivities
from activities.reconciling import ReconcileActivities
from activities.snapshots.restores import RestoreActivities
from activities.snapshots.vault import VaultActivities
from clients.object_store import ObjectStore
from clouds.connections import Providers
from clouds.offers import Market
from db import process_heartbeats
from db.sealing import Sealer
from db.session import Database
from domain.workflow_contracts import TASK_QUEUE
from settings import Settings
from workflow_client.client import WorkflowClient, connect, measured_runtime
from workflow_client.schedules import keep_housekeeping_running
from workflows.endpoint import EndpointWorkflow
from workflows.expire import ExpireWorkflow
from workflows.instance import InstanceWorkflow
from workflows.job import JobWorkflow
from workflows.machine import MachineWorkflow
from workflows.reap import ReapWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.snapshot import SnapshotWorkflow, TidyVaultWorkflow
from workflows.watch import WatchWorkflow

OURS = ["activities", "clients", "clouds", "db", "domain", "failpoints", "machine", "settings", "workflow_client"]
SHARED = [
    *("workflows.attributes", "workflows.collecting", "workflows.failures"),
    *("workflows.instance_steps", "workflows.interruptible", "workflows.options", "workflows.serving"),
]
SANDBOX = SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*OURS, *SHARED))
"""The sandbox imports only a workflow's own file for each run; importing our models too would cost 34 ms a start."""

log = logging.getLogger("worker")

WORKFLOWS = [
    *(EndpointWorkflow, ExpireWorkflow, InstanceWorkflow, JobWorkflow),
    *(MachineWorkflow, ReapWorkflow, ReconcileWorkflow, WatchWorkflow),
    *(SnapshotWorkflow, TidyVaultWorkflow),
]
SCHEDULE_CHECK = 30.0
"""Seconds between checks that our schedules exist (they are lost with Temporal's database)."""


def build_activities(
    temporal: Client, database: Database, providers: Providers, settings: Settings
) -> list[Callable[..., Any]]:
    """Every activity. Each class gets the few things that it needs."""
    workflows = WorkflowClient(temporal, settings)
    machines = MachineActivities(providers)
    probes = ProbeActivities(providers, machines)
    witnesses = WitnessActivities(providers, machines)
    leases = LeaseActivities(database, workflows)
    market = Market(database, providers)
    instances = InstanceActivities(providers, market, workflows)
    jobs = JobActivities(providers, market, workflows)
    job_shell = JobShellActivities(database, providers.sealer, machines)
    artifacts = ArtifactActivities(database, ObjectStore(settings.artifact_address), machines, settings)
    parking = ParkingActivities(database, workflows, settings)
    checkpoints = CheckpointActivities(database, workflows)
    power = PowerActivities(providers)
    instance_power = InstancePowerActivities(database, workflows, settings)
    shell = ShellActivities(database, machines)
    endpoints = EndpointActivities(database, settings)
    servers = ModelServerActivities(database, providers.sealer, machines, settings)
    vault = VaultActivities(database, providers.sealer, settings, machines)
    restores = RestoreActivities(database, providers.sealer, settings, machines)
    idleness = IdlenessActivities(database, settings)
    agents = AgentActivities(database, providers.sealer, settings, machines)
    watching = WatchActivities(providers, workflows)
    reconciling = ReconcileActivities(database, temporal, workflows, settings.reconcile_seconds)
    reaping = ReapActivities(providers)
    return [
        machines.rent_machine,
        machines.attach_key,
        probes.probe_machine,
        witnesses.ask_witnesses,
        machines.release_machine,
        instance_power.request_power,
        instance_power.change_desired,
        instance_power.warn,
        instance_power.record_data_machine,
        instance_power.return_to_data_machine,
        instance_power.release_others,
        instance_power.release_if_saved,
        instance_power.pause_idle,
        instance_power.hibernate_when_due,
        instance_power.conclude_wake,
        shell.end_user_processes,
        shell.bring_rsync,
        power.switch_off,
        power.switch_on,
        power.give_up_start,
        power.record_stopped,
        power.record_found_stopped,
        power.record_found_running,
        leases.look_at_lease,
        leases.watch_account,
        leases.record_ending,
        leases.tell_holder,
        instances.look_at_instance,
        instances.reserve_machine,
        instances.start_machine,
        instances.request_release,
        instances.request_destroy,
        instances.record_instance,
        agents.install_agent,
        idleness.await_idleness,
        agents.warn_users,
        endpoints.look_at_endpoint,
        endpoints.record_stage,
        endpoints.publish_endpoint,
        endpoints.record_down,
        endpoints.record_reloading,
        endpoints.leave_machine,
        endpoints.give_up_endpoint,
        endpoints.conclude_endpoint,
        servers.start_model_server,
        servers.await_model,
        servers.watch_model_server,
        jobs.look_at_job,
        jobs.seconds_left,
        jobs.admit_job,
        jobs.end_attempt,
        jobs.release_attempt,
        jobs.conclude_job,
        job_shell.start_job,
        job_shell.follow_job,
        job_shell.stop_job,
        job_shell.end_unheard,
        parking.park,
        parking.unpark,
        checkpoints.checkpoint_when_due,
        checkpoints.note_restored,
        checkpoints.note_not_restored,
        artifacts.collect_artifacts,
        artifacts.keep_what_was_seen,
        artifacts.expire_jobs,
        vault.begin_snapshot,
        vault.take_snapshot,
        vault.verify_snapshot,
        vault.fail_snapshot,
        vault.is_wanted,
        restores.restore,
        vault.forget_snapshots,
        watching.look_at_account,
        reconciling.reconcile,
        PairingActivities(database, temporal, settings).check_pairing,
        reaping.accounts_to_sweep,
        reaping.sweep_account,
        reaping.carry_out,
    ]


def build_worker(temporal: Client, database: Database, providers: Providers, settings: Settings) -> Worker:
    """The worker as it runs in production; tests use this one too."""
    return Worker(
        temporal,
        task_queue=TASK_QUEUE,
        workflows=WORKFLOWS,
        workflow_runner=SANDBOX,
        interceptors=[ShortFailures(), Heartbeats()],
        activities=build_activities(temporal, database, providers, settings),
        max_concurrent_workflow_tasks=20,
        max_concurrent_activities=200,
        max_concurrent_local_activities=50,
        max_cached_workflows=2000,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        # after a crash of a worker, its workflow tasks go to another worker after this time
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        max_heartbeat_throttle_interval=timedelta(seconds=2),
        default_heartbeat_throttle_interval=timedelta(seconds=2),
        graceful_shutdown_timeout=timedelta(seconds=5),
    )


async def keep_schedules(temporal: Client, settings: Settings) -> None:
    """Put lost schedules back. This runs outside workflows, since no workflow would run without schedules."""
    while True:
        try:
            await keep_housekeeping_running(temporal, settings)
        except RPCError as error:
            log.warning("cannot see to the schedules now: %s", error.message)
        await asyncio.sleep(SCHEDULE_CHECK)


async def send_heartbeats(database: Database, name: str) -> None:
    """For `/health`: Temporal itself takes over a minute to miss a worker that was killed."""
    first = True
    while True:
        try:
            async with database.begin() as session:
                if first:
                    await process_heartbeats.forget_dead(session)
                await process_heartbeats.beat(session, name)
            first = False
        except SQLAlchemyError as error:
            log.warning("no sign of life for now: %s", type(error).__name__)
        await asyncio.sleep(process_heartbeats.EVERY.total_seconds())


async def main() -> None:
    settings = Settings()
    if settings.failpoints_dir is not None:
        failpoints.install(failpoints.obey_files(settings.failpoints_dir))
    database = Database(settings.database_url, pool_size=20)
    providers = Providers(database, Sealer(settings.secret_keys.get_secret_value()), settings)
    temporal = await connect(settings, measured_runtime(settings.worker_metrics_address))
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    name = f"worker-{socket.gethostname()}-{os.getpid()}"
    async with build_worker(temporal, database, providers, settings):
        log.info("working on queue %s of %s", TASK_QUEUE, settings.temporal_address)
        housekeeping = [
            asyncio.create_task(keep_schedules(temporal, settings)),
            asyncio.create_task(send_heartbeats(database, name)),
        ]
        await stopped.wait()
    for task in housekeeping:
        task.cancel()
    with contextlib.suppress(SQLAlchemyError):
        async with database.begin() as session:
            await process_heartbeats.ended(session, name)
    await providers.close()
    await database.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    asyncio.run(main())
