"""Words between flows that are lost, late, or come before the one that says them knows it himself."""

import pytest
from sqlalchemy import select

from db.machines.tables import Lease
from domain.instances.actions import InstanceAction
from domain.instances.phases import InstanceStatus
from tests.long_runs import sampled
from tests.protocol.conftest import Stage
from tests.protocol.events import (
    Ask,
    Create,
    Deploy,
    Destroy,
    Event,
    Fault,
    Go,
    Kill,
    Outage,
    Request,
    Terminate,
    Touch,
    Trouble,
)
from tests.protocol.verdict import GOOD

PAUSE, WAKE = Ask(0, InstanceAction.PAUSE), Ask(0, InstanceAction.WAKE)
PAUSED: list[Event] = [Create(0), Go(40), PAUSE, Go(40)]


def test_the_next_offer_does_not_wait_until_the_cloud_has_destroyed_the_last_machine(stage: Stage) -> None:
    clings = [Trouble(Request.RENT, Fault.EXITS, 1), Trouble(Request.DESTROY, Fault.REFUSED, 40)]
    assert stage.play([*clings, Deploy(0), Go(300)]) == GOOD
    first, second = stage.rows(select(Lease.created_at).order_by(Lease.created_at))
    assert (second - first).total_seconds() < 60


MOVES: dict[str, list[Event]] = {
    "it boots": [Kill("probe-recorded"), Create(0), Go(11), Terminate(1), Go(200)],
    "it wakes": [*PAUSED, Kill("probe-recorded"), WAKE, Go(6), Terminate(1), Go(200)],
}


@pytest.mark.parametrize("name", sampled(MOVES, 2))
def test_a_new_run_of_a_machines_flow_says_what_the_last_one_may_not_have_said(stage: Stage, name: str) -> None:
    assert stage.play(MOVES[name]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.RUNNING]


@pytest.mark.parametrize("before", sampled([[*PAUSED, WAKE], [Create(0)]], 2), ids=["waking", "booting"])
def test_a_machine_that_its_holder_was_given_is_not_given_up_because_its_flow_never_heard(
    stage: Stage, before: list[Event]
) -> None:
    """The worker dies after it has told the holder, and nothing goes on until every deadline has passed."""
    assert stage.play([*before[:-1], Kill("probe-recorded"), before[-1], Go(9), Outage(70), Go(200)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.RUNNING]
    assert len(stage.world.books.machines) == 1


def test_a_stop_that_stands_in_no_row_is_none(stage: Stage) -> None:
    """The watch tells of it and dies, and at its next look the machine runs, as by its row it always did."""
    stops: list[Event] = [Kill("watch-told"), Touch(0, start=False), Go(11), Touch(0, start=True)]
    assert stage.play([Create(0), Go(40), *stops, Go(200)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.RUNNING]


def test_an_instance_hears_of_the_end_of_its_machine_though_the_word_was_lost(stage: Stage) -> None:
    assert stage.play([Create(0), Go(40), Kill("release-recorded"), Destroy(0), Go(4), Terminate(1), Go(200)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.DESTROYED]
