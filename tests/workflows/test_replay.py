"""Flows that were under way when somebody updates go on: golden histories replay with the code of today."""

from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from domain.workflow_contracts import InstanceInput
from tests.workflows.sandbox import SANDBOX
from worker import WORKFLOWS

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


def golden(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, path.read_text())


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_golden_history_replays(path: Path) -> None:
    replayer = Replayer(
        workflows=WORKFLOWS,
        data_converter=pydantic_data_converter,
        workflow_runner=SANDBOX,
        debug_mode=True,  # without the limit of two seconds for a step, which a busy computer exceeds
    )
    await replayer.replay_workflow(golden(path))


def test_every_kind_of_flow_has_golden_histories() -> None:
    kinds = {path.stem.split(".")[1].split("-")[0] for path in HISTORIES}
    assert kinds == {"endpoint", "instance", "job", "machine", "snapshot", "tidy", "watch"}


@workflow.defn(name="InstanceWorkflow")
class AnotherInstanceWorkflow:
    """The control: a changed workflow under the same name."""

    @workflow.run
    async def run(self, input: InstanceInput) -> None:
        await workflow.sleep(1)


async def test_a_changed_workflow_does_not_replay() -> None:
    replayer = Replayer(
        workflows=[AnotherInstanceWorkflow],
        data_converter=pydantic_data_converter,
        workflow_runner=UnsandboxedWorkflowRunner(),
        debug_mode=True,
    )
    path = next(path for path in HISTORIES if ".instance-" in path.name)
    with pytest.raises(workflow.NondeterminismError):
        await replayer.replay_workflow(golden(path))
