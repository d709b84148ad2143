"""Each thing that can go wrong, by itself: the schedules of the lease protocol, one after the other."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from db.jobs.tables import Job
from db.machines.tables import Lease
from db.machines.tables import Orphan as OrphanRow
from domain.instances.actions import InstanceAction
from domain.instances.phases import InstanceStatus
from domain.jobs.phases import JobStatus
from domain.machines.phases import LeaseOutcome
from tests.long_runs import sampled
from tests.protocol.conftest import Stage
from tests.protocol.events import (
    FAULTS,
    Ask,
    Backup,
    Cancel,
    Cling,
    Create,
    CutOff,
    Deploy,
    Destroy,
    Event,
    Fault,
    Go,
    GoOn,
    HandOver,
    Hang,
    Kill,
    Lose,
    Orphan,
    Request,
    Restore,
    Resume,
    StartJob,
    Terminate,
    Trouble,
)
from tests.protocol.random_schedules import PLACES_OF_LEASES
from tests.protocol.verdict import GOOD

LIFE: list[Event] = [Deploy(0), Go(40), Destroy(0), Go(20)]
NAP: list[Event] = [
    *(Create(0), Go(40), Ask(0, InstanceAction.PAUSE), Go(40)),
    *(Ask(0, InstanceAction.WAKE), Go(60), Destroy(0), Go(20)),
]
LIVES: dict[Request, list[Event]] = {Request.STOP: [Orphan(7), *LIFE], Request.START: NAP}
"""Where a request is made that an ordinary life goes without."""
HANGING: dict[str, list[Event]] = {
    "before its request, the second rents": [Hang("rent-begun"), Deploy(0), Go(20), Resume(0)],
    "just before its request, the second rents": [Hang("rent-begun"), Deploy(0), Go(8), Resume(0)],
    "marked, given up, asks after all": [Hang("rent-marked"), Deploy(0), Go(40), Resume(0)],
    "the request is under way for long": [Hang("rent-arrives"), Deploy(0), Go(40), Resume(0)],
    "the answer is under way for long": [Hang("rent-answers"), Deploy(0), Go(40), Resume(0)],
    "429 is under way, another looks meanwhile": [
        Trouble(Request.RENT, Fault.THROTTLED, 1),
        Hang("rent-arrives"),
        Deploy(0),
        Go(9),
        Resume(0),
    ],
    "a destroy arrives late": [Deploy(0), Go(20), Hang("destroy-arrives"), Destroy(0), Go(60), Deploy(0), Resume(0)],
    "the watch tells late": [Hang("watch-listed"), Deploy(0), Go(60), Resume(0)],
}


@pytest.mark.parametrize("name", sampled(HANGING, 2))
def test_an_attempt_that_hangs_and_wakes_up_much_later(stage: Stage, name: str) -> None:
    assert stage.play([*HANGING[name], Go(20)]) == GOOD
    assert stage.world.gates.passed


def test_two_users_of_one_account_and_a_third_elsewhere_after_the_same_offers(stage: Stage) -> None:
    sold_twice = Trouble(Request.RENT, Fault.DOUBLE_SALE, 6)
    assert stage.play([sold_twice, Deploy(0), Deploy(1), Deploy(2), Deploy(2), Go(60)]) == GOOD


def test_a_late_release_by_the_old_holder_after_a_hand_over(stage: Stage) -> None:
    assert stage.play([Deploy(0), Go(20), HandOver(0), Go(40), HandOver(1), Go(20)]) == GOOD
    assert len(stage.world.books.alive()) == 0
    assert len(stage.world.books.machines) == 1


def test_what_looks_like_ours_is_left_alone_and_what_is_ours_is_found(stage: Stage) -> None:
    assert stage.play([*[Orphan(label) for label in range(8)], Deploy(0), Go(60)]) == GOOD
    assert len(stage.world.books.alive()) == 7


def test_a_rent_that_is_carried_out_after_we_gave_up(stage: Stage) -> None:
    assert stage.play([Trouble(Request.RENT, Fault.LATE, 4), Deploy(0), Go(60), Destroy(0)]) == GOOD
    assert (Request.RENT, Fault.LATE) in stage.world.cloud.met


def test_a_key_that_is_refused_for_a_while_with_machines_up_and_one_to_come(stage: Stage) -> None:
    late, refused = Trouble(Request.RENT, Fault.LATE, 2), Trouble(Request.LIST, Fault.KEY_REFUSED, 20)
    assert stage.play([Deploy(0), Go(20), late, Deploy(0), Go(8), refused, Go(20)]) == GOOD


@pytest.mark.parametrize("user", sampled([0, 2], 2))
def test_a_key_that_was_refused_once_is_tried_again_though_another_of_its_account_serves(
    stage: Stage, user: int
) -> None:
    """User 0 has an account together with user 1, whose key works on; user 2 has one alone."""
    assert stage.play([Trouble(Request.RENT, Fault.KEY_REFUSED, 1), StartJob(user, 3), Go(400)]) == GOOD
    assert stage.rows(select(Job.status)) == [JobStatus.COMPLETED]
    assert stage.alarms()["key_refused"] is False


def test_a_release_that_the_cloud_refuses_for_minutes_is_not_given_up_and_told_of(stage: Stage) -> None:
    refused = Trouble(Request.DESTROY, Fault.REFUSED, 25)
    assert stage.play([Deploy(0), Go(20), refused, Destroy(0), Go(600)]) == GOOD
    assert (Request.DESTROY, Fault.REFUSED) in stage.world.cloud.met
    assert stage.alarms()["release_slow"] is False


def test_one_machine_of_a_lease_that_the_cloud_clings_to_does_not_keep_the_other(stage: Stage) -> None:
    """Its id was never recorded, so the reaper leaves both alone: either may be the lease's."""
    twice, unheard = Trouble(Request.RENT, Fault.MADE_TWICE, 1), Kill("rent-answered")
    assert stage.play([twice, unheard, Deploy(0), Go(2), Cling(0), Destroy(0), Go(60)]) == GOOD
    first, second = (each.id for each in stage.world.books.machines)
    assert stage.world.books.ended == [second, first]


def test_a_stray_that_the_cloud_clings_to_is_told_of_and_keeps_no_other(stage: Stage) -> None:
    """Both look exactly like ours; the first may not be stopped for now."""
    assert stage.play([Orphan(7), Orphan(7), Cling(0), Go(120)]) == GOOD
    assert stage.alarms()["orphan_refused"] is False
    first, second = (each.id for each in stage.world.books.machines)
    assert stage.world.books.ended == [second, first]


@pytest.mark.parametrize("answer", sampled([Fault.BAD_GATEWAY, Fault.THROTTLED], 2))
def test_a_stray_that_the_cloud_does_not_end_keeps_no_other(stage: Stage, answer: Fault) -> None:
    assert stage.play([Orphan(7), Orphan(7), Cling(0, answer), Go(240)]) == GOOD
    assert stage.alarms().get("orphan_refused") is (False if answer is Fault.BAD_GATEWAY else None)
    waited = stage.rows(select(OrphanRow.stopped_at - OrphanRow.first_seen_at).order_by(OrphanRow.cloud_id))
    assert waited[1] < timedelta(seconds=60)  # its turn did not come after the first one's two minutes
    first, second = (each.id for each in stage.world.books.machines)
    assert stage.world.books.ended == [second, first]


@pytest.mark.parametrize("fault", sampled([Fault.ROW_WITHOUT_ID, Fault.ODD_ROW], 2))
def test_a_machine_whose_row_can_be_read_in_part_comes_up_and_costs_no_second_one(stage: Stage, fault: Fault) -> None:
    assert stage.play([Trouble(Request.LIST, fault, 400), Deploy(0), Go(200)]) == GOOD
    assert (Request.LIST, fault) in stage.world.cloud.met
    assert stage.statuses_at_rest == [InstanceStatus.RUNNING]
    assert len(stage.world.books.machines) == 1


@pytest.mark.long
def test_more_strays_than_the_brake_allows_wait_for_a_persons_word_before_each_step(stage: Stage) -> None:
    many: list[Event] = [Orphan(7)] * 5
    assert stage.play([*many, Go(300)]) == GOOD
    assert stage.alarms()["reaper_safety_limit"] is True
    assert [each.is_stopped or each.is_gone for each in stage.world.books.machines] == [False] * 5
    assert stage.play([*many, Go(60), GoOn(), Go(300)]) == GOOD
    assert [(each.is_stopped, each.is_gone) for each in stage.world.books.machines] == [(True, False)] * 5
    assert stage.play([*many, Go(60), GoOn(), Go(300), GoOn(), Go(60)]) == GOOD
    assert stage.alarms()["reaper_safety_limit"] is False
    assert stage.world.books.alive() == []


@pytest.mark.long
def test_a_word_for_some_does_not_count_for_those_that_came_later(stage: Stage) -> None:
    assert stage.play([*[Orphan(7)] * 4, Go(60), GoOn(), *[Orphan(7)] * 4, Go(60)]) == GOOD
    assert [each.is_stopped for each in stage.world.books.machines] == [True] * 4 + [False] * 4


def test_machines_that_are_lost_and_flows_that_are_terminated(stage: Stage) -> None:
    assert stage.play([Deploy(0), Deploy(1), Go(20), Lose(0), *[Terminate(n) for n in range(6)], Go(60)]) == GOOD


@pytest.mark.parametrize("since", sampled([2, 0, 6, 20], 4))
def test_a_cancel_click_on_any_flow_of_a_model_ends_nothing(stage: Stage, since: int) -> None:
    clicks: list[Event] = [Cancel(flow) for flow in range(4)]
    assert stage.play([Deploy(0), Go(since), *clicks, Go(60)]) == GOOD
    assert len(stage.world.books.machines) == 1


@pytest.mark.parametrize("order", sampled([Hang, Kill], 2))
def test_a_reservation_that_nobody_heard_of_is_not_made_twice(stage: Stage, order: type[Hang] | type[Kill]) -> None:
    gone = Trouble(Request.RENT, Fault.OFFER_GONE, 1)
    assert stage.play([order("reserved-again"), gone, Deploy(0), Go(40), order("reserved-again"), Deploy(0)]) == GOOD
    assert len(stage.world.books.machines) == 2


def test_a_reservation_that_comes_when_the_instance_was_given_up(stage: Stage) -> None:
    gone = Trouble(Request.RENT, Fault.OFFER_GONE, 6)
    assert stage.play([gone, Hang("search-answers"), Deploy(0), Go(60), Resume(0), Go(60)]) == GOOD


@pytest.mark.parametrize("since", sampled([20, 1], 2))
def test_the_ledger_of_an_hour_ago(stage: Stage, since: int) -> None:
    assert stage.play([Deploy(0), Go(since), Backup(), Deploy(0), Deploy(1), Go(60), Restore(), Go(90)]) == GOOD


@pytest.mark.long
@pytest.mark.parametrize("times", [1, 3, 30])
@pytest.mark.parametrize(
    ("request_", "fault"), [(request, fault) for request, faults in FAULTS.items() for fault in faults]
)
def test_every_fault_of_every_request(stage: Stage, request_: Request, fault: Fault, times: int) -> None:
    assert stage.play([Trouble(request_, fault, times), *LIVES.get(request_, LIFE)]) == GOOD
    assert request_ is Request.SHOW or (request_, fault) in stage.world.cloud.met


@pytest.mark.long
@pytest.mark.parametrize("place", PLACES_OF_LEASES)
def test_killed_or_hanging_at_every_place(stage: Stage, place: str) -> None:
    also: list[Event] = [Orphan(7), Trouble(Request.RENT, Fault.EXITS, 1)]
    assert stage.play([*also, Kill(place), *LIFE]) == GOOD
    assert stage.world.gates.passed == {place}
    assert stage.play([*also, Hang(place), *LIFE, Resume(0), *LIFE]) == GOOD


def test_a_machine_that_never_lets_us_in_failed_to_start_and_its_host_is_left_alone(stage: Stage) -> None:
    assert stage.play([Deploy(0), Go(1), CutOff(0), Go(120)]) == GOOD
    assert stage.rows(select(Lease.outcome).order_by(Lease.created_at))[0] is LeaseOutcome.BOOT_FAILED
