"""A workflow of one activity that does nothing: what Temporal itself costs, in the same minute as our own flows."""

from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

QUEUE = "bare"


@activity.defn
async def bare_activity() -> None:
    """Nothing."""


@workflow.defn(sandboxed=False)
class BareWorkflow:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(bare_activity, start_to_close_timeout=timedelta(seconds=10))


def bare_worker(temporal: Client) -> Worker:
    return Worker(temporal, task_queue=QUEUE, workflows=[BareWorkflow], activities=[bare_activity])


async def start_bare(temporal: Client, name: str) -> Any:
    """Its handle."""
    return await temporal.start_workflow(BareWorkflow.run, id=f"bare-{name}", task_queue=QUEUE)
