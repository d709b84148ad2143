"""What workflows leave behind: no secret in any history, and every history replays with the code of today."""

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from settings import Settings
from tests.system.histories import all_histories, secrets_of, text_of
from tests.system.running import PASSWORD, Running
from tests.workflows.sandbox import SANDBOX
from worker import WORKFLOWS
from workflow_client.client import connect


@pytest.mark.timeout(1200)
async def test_no_history_holds_a_secret_and_each_replays(system: Running) -> None:
    ready = await system.deploy(access_type="private")
    await system.ready(ready["id"])
    failed = await system.deploy(model_id="nobody/does-not-exist")
    await system.ended(failed["id"])
    slept = await system.create(env={"HF_TOKEN": "hf_" + PASSWORD})
    await system.becomes(slept["id"], "running")
    await system.ask(slept["id"], "hibernate", 202)
    await system.becomes(slept["id"], "hibernated")
    await system.ask(slept["id"], "wake", 200)
    token = system.api.headers["Authorization"].removeprefix("Bearer ")
    secrets = secrets_of(system.installation) | {PASSWORD, token, ready["api_key"]}
    temporal = await connect(Settings(temporal_address=system.addresses["temporal"]))
    replayer = Replayer(
        workflows=WORKFLOWS,
        data_converter=pydantic_data_converter,
        workflow_runner=SANDBOX,
        debug_mode=True,  # without the limit of two seconds for a step, which a busy computer exceeds
    )
    seen = 0
    ours = {
        ready["endpoint_id"],
        failed["endpoint_id"],
        *(str(each) for each in (ready["instance_id"], failed["instance_id"], slept["id"])),
    }
    async for history in all_histories(temporal):
        text = text_of(history)
        assert [name[:8] for name in secrets if name in text] == [], history.workflow_id
        if history.workflow_id.partition("-")[2] in ours or history.workflow_id.startswith(("watch-", "reap-")):
            await replayer.replay_workflow(history)
            seen += 1
    assert seen > 5
