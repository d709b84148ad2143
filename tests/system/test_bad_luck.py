"""Bad luck with the cloud: a deploy ends ready with one machine, whatever the rent's answer was."""

import pytest

from tests.long_runs import only_long
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
        {"fault": "success_without_id"},
        *only_long(
            {"fault": "status", "status": 502, "times": 2},
            {"fault": "status", "status": 429, "body": "API requests too frequent: endpoint threshold=4.5", "times": 2},
            {"fault": "garbage"},
        ),
    ],
    ids=["success without an id", "bad gateway", "too frequent", "garbage"],
)
async def test_odd_answers_to_a_rent_end_with_one_machine(system: Running, trouble: dict[str, object]) -> None:
    await system.fault(RENT, **trouble)  # type: ignore[arg-type]
    deployment = await system.deploy()
    await system.ready(deployment["id"])
    await system.alive(1)


@pytest.mark.long
async def test_an_offer_that_went_is_passed_over(system: Running) -> None:
    body = {"success": False, "error": "invalid_args", "msg": "error 404/3603: no_such_ask Instance type by id 1."}
    await system.fault(RENT, "status", status=400, body=body)
    deployment = await system.deploy()
    status = await system.ready(deployment["id"])
    assert [each["outcome"] for each in status["offers_tried"]] == ["offer_gone", "working"], status
    await system.alive(1)


@pytest.mark.long
async def test_gpus_that_others_got_during_the_rent_leave_nothing_behind(system: Running) -> None:
    """We ask to fail rather than to be left with a machine that waits for its GPUs (`cancel_unavail`)."""
    await system.fault(RENT, "unavailable", delay_seconds=2)
    deployment = await system.deploy()
    status = await system.ready(deployment["id"])
    assert [each["outcome"] for each in status["offers_tried"]] == ["offer_gone", "working"], status
    await system.alive(1)


@pytest.mark.long
@pytest.mark.parametrize("fault", ["unlisted", *only_long("listed_late", "unfound")])
async def test_a_machine_that_is_shown_late_is_waited_for(system: Running, fault: str) -> None:
    await system.fault(RENT, fault, delay_seconds=2)
    deployment = await system.deploy()
    status = await system.ready(deployment["id"])
    assert [each["outcome"] for each in status["offers_tried"]] == ["working"]
    await system.alive(1)


WAYS = [
    *(("machine:boot", name) for name in ("exits", "stays_null", "stuck_created", "oci_error", "port_taken")),
    *(("machine:boot", name) for name in ("no_space", "image_not_found", "odd_status")),
    ("machine:sshd", "refuses"),
    ("machine:sshd", "no_keys"),
    ("machine:ports", "missing"),
    ("machine:gpu", "missing"),
]


@pytest.mark.long
@pytest.mark.parametrize(("where", "fault"), WAYS)
async def test_a_machine_that_is_no_good_in_any_way_ends_with_one_that_is(
    system: Running, where: str, fault: str
) -> None:
    await system.fault(where, fault)
    deployment = await system.deploy(gpu_type="RTX", max_price=5.0)
    status = await system.ready(deployment["id"], seconds=100)
    assert status["offers_tried"][-1]["outcome"] == "working"
    assert len(status["offers_tried"]) <= 2
    await system.alive(1, seconds=30)


@pytest.mark.long
async def test_a_phantom_machine_is_given_up_and_the_next_offer_tried(system: Running) -> None:
    await system.fault(RENT, "phantom")
    deployment = await system.deploy()
    status = await system.ready(deployment["id"])
    assert [each["outcome"] for each in status["offers_tried"]] == ["boot_failed", "working"]
    await system.alive(1)


@pytest.mark.long
async def test_a_machine_that_never_boots_is_replaced(system: Running) -> None:
    await system.fault("machine:boot", "never_boots")
    deployment = await system.deploy()
    status = await system.ready(deployment["id"])
    assert [each["outcome"] for each in status["offers_tried"]] == ["boot_failed", "working"]
    await system.alive(1)
