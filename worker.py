"""`python -m worker`: runs every workflow and activity. Any number of these may run, on any number of hosts."""

import gc_settings

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
from temporalio.worker import PollerBehaviorAutoscaling, UnsandboxedWorkflowRunner, Worker

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
    market = Market(database, providers)
    groups = (
        machines,
        ProbeActivities(providers, machines, workflows),
        WitnessActivities(providers, machines),
        LeaseActivities(database, workflows),
        PowerActivities(providers, workflows),
        ShellActivities(database, machines),
        AgentActivities(database, providers.sealer, settings, machines),
        WatchActivities(providers, workflows),
        InstanceActivities(providers, market, workflows),
        InstancePowerActivities(database, workflows, settings),
        IdlenessActivities(database, settings),
        EndpointActivities(database, settings),
        ModelServerActivities(database, providers.sealer, machines, settings),
        JobActivities(providers, market, workflows),
        JobShellActivities(database, providers.sealer, machines),
        ArtifactActivities(database, ObjectStore(settings.artifact_address), machines, settings),
        ParkingActivities(database, workflows, settings),
        CheckpointActivities(database, workflows),
        VaultActivities(database, providers.sealer, settings, machines),
        RestoreActivities(database, providers.sealer, settings, machines),
        ReconcileActivities(database, temporal, workflows, settings.reconcile_seconds),
        PairingActivities(database, temporal, settings),
        ReapActivities(providers),
    )
    return [each for group in groups for each in activities_of(group)]


def activities_of(group: object) -> list[Callable[..., Any]]:
    """Its methods under `activity.defn`, so that none is forgotten here."""
    marked = [name for name, method in vars(type(group)).items() if hasattr(method, "__temporal_activity_definition")]
    return [getattr(group, name) for name in marked]


def build_worker(temporal: Client, database: Database, providers: Providers, settings: Settings) -> Worker:
    """The worker as it runs in production; tests use this one too."""
    return Worker(
        temporal,
        task_queue=TASK_QUEUE,
        workflows=WORKFLOWS,
        workflow_runner=UnsandboxedWorkflowRunner(),  # the sandbox took a fifth of the worker's time: tests have it
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
    gc_settings.keep_what_is_loaded()
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
