"""Bad luck with the cloud: a deploy ends ready with one machine, whatever the rent's answer was."""

import pytest

from tests.system.running import Running

RENT = "PUT /api/v0/asks/"


async def test_a_rent_reply_lost_after_commit_rents_once(system: Running) -> None:
    await system.fault(RENT, "drop_after_commit")
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    await system.alive(1)
    assert len((await system.status(deployment["id"]))["offers_tried"]) == 1


async def test_a_rent_request_lost_before_commit_tries_the_next_offer(system: Running) -> None:
    await system.fault(RENT, "drop_before_commit")
    deployment = await system.deploy()
    status = await system.ready(deployment["id"])
    await system.alive(1)
    assert [each["outcome"] for each in status["offers_tried"]] == ["answer_lost", "working"]


@pytest.mark.parametrize(
    "trouble",
    [
        {"fault": "status", "status": 502, "times": 2},
        {"fault": "status", "status": 429, "body": "API requests too frequent: endpoint threshold=4.5", "times": 2},
        {"fault": "success_without_id"},
        {"fault": "garbage"},
    ],
    ids=["bad gateway", "too frequent", "success without an id", "garbage"],
)
async def test_odd_answers_to_a_rent_end_with_one_machine(system: Running, trouble: dict[str, object]) -> None:
    await system.fault(RENT, **trouble)  # type: ignore[arg-type]
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    await system.alive(1)


async def test_an_offer_that_went_is_passed_over(system: Running) -> None:
    body = {"success": False, "error": "invalid_args", "msg": "error 404/3603: no_such_ask Instance type by id 1."}
    await system.fault(RENT, "status", status=400, body=body)
    deployment = await system.deploy()
    status = await system.ready(deployment["id"])
    assert [each["outcome"] for each in status["offers_tried"]] == ["offer_gone", "working"], status
    await system.alive(1)


async def test_a_phantom_machine_is_given_up_and_the_next_offer_tried(system: Running) -> None:
    await system.fault(RENT, "phantom")
    deployment = await system.deploy()
    status = await system.ready(deployment["id"])
    assert [each["outcome"] for each in status["offers_tried"]] == ["boot_failed", "working"]
    await system.alive(1)


async def test_a_machine_that_never_boots_is_replaced(system: Running) -> None:
    await system.fault("machine:boot", "never_boots")
    deployment = await system.deploy()
    status = await system.ready(deployment["id"])
    assert [each["outcome"] for each in status["offers_tried"]] == ["boot_failed", "working"]
    await system.alive(1)
