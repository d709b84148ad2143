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
from activities.endpoints.model_server import ModelActivities
from activities.failures import ShortFailures
from activities.heartbeats import Heartbeats
from activities.instances.instances import InstanceActivities
from activities.instances.power import SleepActivities
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
from activities.reconciling import ReconcileActivities
from activities.snapshots.restores import RestoreActivities
from activities.snapshots.vault import VaultActivities
from clients.object_store import ObjectStore
from clouds.connections import Clouds
from clouds.offers import Market
from db import process_heartbeats
from db.sealing import Sealer
from db.session import Database
from domain.workflow_contracts import TASK_QUEUE
from settings import Settings
from workflow_client.client import WorkflowClient, connect, measured_runtime
from workflow_client.schedules import make_sure_of_schedules
from workflows.deploy import DeployWorkflow
from workflows.expire import ExpireWorkflow
from workflows.instance import InstanceWorkflow
from workflows.job import JobWorkflow
from workflows.machine import MachineWorkflow
from workflows.reap import ReapWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.snapshot import SnapshotWorkflow, TidyVaultWorkflow
from workflows.watch import WatchWorkflow

OURS = ["activities", "clients", "db", "domain", "settings"]
SHARED = [
    *("workflows.attributes", "workflows.collecting", "workflows.failures", "workflows.options"),
    *("workflows.keeping", "workflows.pausing", "workflows.resting", "workflows.waking", "workflows.wishes"),
]
SANDBOX = SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*OURS, *SHARED))
"""The sandbox imports only a workflow's own file for each run; importing our models too would cost 34 ms a start."""

log = logging.getLogger("worker")

WORKFLOWS = [
    *(DeployWorkflow, ExpireWorkflow, InstanceWorkflow, JobWorkflow),
    *(MachineWorkflow, ReapWorkflow, ReconcileWorkflow, WatchWorkflow),
    *(SnapshotWorkflow, TidyVaultWorkflow),
]
SCHEDULE_CHECK = 30.0
"""Seconds between checks that our schedules exist (they are lost with Temporal's database)."""


def build_activities(
    temporal: Client, database: Database, clouds: Clouds, settings: Settings
) -> list[Callable[..., Any]]:
    """Every activity. Each class gets the few things that it needs."""
    workflows = WorkflowClient(temporal, settings)
    machines = MachineActivities(clouds)
    probes = ProbeActivities(clouds, machines)
    leases = LeaseActivities(database, workflows)
    market = Market(database, clouds)
    instances = InstanceActivities(clouds, market, workflows)
    jobs = JobActivities(clouds, market, workflows)
    job_shell = JobShellActivities(database, clouds.sealer, machines)
    artifacts = ArtifactActivities(database, ObjectStore(settings.artifact_address), machines, settings)
    asides = ParkingActivities(database, workflows, settings)
    checkpoints = CheckpointActivities(database, workflows)
    power = PowerActivities(clouds)
    sleeping = SleepActivities(database, workflows, settings)
    shell = ShellActivities(database, machines)
    models = ModelActivities(database, clouds.sealer, machines)
    vault = VaultActivities(database, clouds.sealer, settings, machines)
    restores = RestoreActivities(database, clouds.sealer, settings, machines)
    agents = AgentActivities(database, clouds.sealer, settings, machines)
    watching = WatchActivities(clouds, workflows)
    reconciling = ReconcileActivities(database, temporal, workflows)
    reaping = ReapActivities(clouds)
    return [
        machines.rent_machine,
        machines.attach_key,
        probes.probe_machine,
        machines.release_machine,
        sleeping.request_power,
        sleeping.change_mind,
        sleeping.warn,
        sleeping.record_data_machine,
        sleeping.return_to_data_machine,
        sleeping.release_others,
        sleeping.release_if_saved,
        sleeping.pause_idle,
        sleeping.hibernate_when_due,
        sleeping.conclude_wake,
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
        instances.look_at_instance,
        instances.reserve_machine,
        instances.start_machine,
        instances.request_release,
        instances.request_destroy,
        instances.record_instance,
        agents.install_agent,
        agents.judge_idle,
        agents.warn_users,
        models.look_at_deploy,
        models.start_model_server,
        models.await_model,
        models.publish_model,
        models.record_stage,
        models.record_deploy_ending,
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
        asides.park,
        asides.unpark,
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
        restores.restore,
        vault.forget_snapshots,
        watching.look_at_account,
        reconciling.start_what_rows_demand,
        PairingActivities(database, temporal, settings).check_pairing,
        reaping.accounts_to_sweep,
        reaping.sweep_account,
        reaping.carry_out,
    ]


def build_worker(temporal: Client, database: Database, clouds: Clouds, settings: Settings) -> Worker:
    """The worker as it runs in production; tests use this one too."""
    return Worker(
        temporal,
        task_queue=TASK_QUEUE,
        workflows=WORKFLOWS,
        workflow_runner=SANDBOX,
        interceptors=[ShortFailures(), Heartbeats()],
        activities=build_activities(temporal, database, clouds, settings),
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
            await make_sure_of_schedules(temporal, settings)
        except RPCError as error:
            log.warning("cannot see to the schedules now: %s", error.message)
        await asyncio.sleep(SCHEDULE_CHECK)


async def send_heartbeats(database: Database, name: str) -> None:
    """For `/health`: Temporal itself takes over a minute to miss a worker that was killed."""
    while True:
        try:
            async with database.begin() as session:
                await process_heartbeats.beat(session, name)
        except SQLAlchemyError as error:
            log.warning("no sign of life for now: %s", type(error).__name__)
        await asyncio.sleep(process_heartbeats.EVERY.total_seconds())


async def main() -> None:
    settings = Settings()
    if settings.failpoints_dir is not None:
        failpoints.install(failpoints.obey_files(settings.failpoints_dir))
    database = Database(settings.database_url, pool_size=20)
    clouds = Clouds(database, Sealer(settings.secret_keys.get_secret_value()), settings)
    temporal = await connect(settings, measured_runtime(settings.worker_metrics_address))
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    name = f"worker-{socket.gethostname()}-{os.getpid()}"
    async with build_worker(temporal, database, clouds, settings):
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
    await clouds.close()
    await database.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    asyncio.run(main())
