"""A machine that does not answer is given up after so long, over all attempts: on a real Temporal server."""

import secrets
import shutil
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.errors import Fault
from activities.heartbeats import Heartbeats
from activities.snapshots.transfers import Transfers
from clients.ssh import SshTarget, generate_keypair
from domain.snapshots.transfers import TransferKind, TransferOrder, TransferStatus
from settings import Settings
from tests.patience import PATIENCE_SECONDS
from tests.ports import free_port
from workflows.failures import reason_of
from workflows.options import COPY

NOBODY = SshTarget("127.0.0.1", free_port(), generate_keypair()[0])
ATTEMPTS: list[int] = []


async def _nothing(_: TransferStatus) -> None:
    pass


@activity.defn
async def copy_from_nobody() -> None:
    ATTEMPTS.append(activity.info().attempt)
    words = {"id": "x", "restic": "restic", "repository": "-", "token": "-", "password": "-"}
    order = TransferOrder.model_validate(words | {"kind": TransferKind.SNAPSHOT, "stall_seconds": 3})
    settings = Settings(snapshot_stall_seconds=3.0, _env_file=None)
    await Transfers(settings).work_off(NOBODY, order, _nothing, Fault.SNAPSHOT_FAILED)


@workflow.defn
class Copying:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(copy_from_nobody, **COPY)


async def test_a_machine_that_never_answers_is_given_up_after_many_attempts() -> None:
    program = shutil.which("temporal") or str(Path(sys.prefix) / "bin" / "temporal")
    queue = secrets.token_hex(4)
    async with (
        await WorkflowEnvironment.start_local(
            dev_server_existing_path=program,
            dev_server_startup_timeout=timedelta(seconds=PATIENCE_SECONDS),
            data_converter=pydantic_data_converter,
        ) as temporal,
        Worker(
            temporal.client,
            task_queue=queue,
            workflows=[Copying],
            activities=[copy_from_nobody],
            interceptors=[Heartbeats()],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ),
    ):
        with pytest.raises(WorkflowFailureError) as failed:
            await temporal.client.execute_workflow(Copying.run, id=queue, task_queue=queue)
    assert failed.value.cause is not None
    assert "has not answered for" in reason_of(failed.value.cause)
    assert len(ATTEMPTS) > 1
