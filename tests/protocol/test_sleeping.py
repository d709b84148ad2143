"""Instances that somebody works on: asleep, woken, moved, restored, with everybody's hands in the middle of it."""

from itertools import product

import pytest
from sqlalchemy import func, select

from db.instances.tables import Instance
from db.tables import Event as TimelineEvent
from domain.instances.actions import InstanceAction
from domain.instances.phases import InstanceStatus
from tests.long_runs import sampled
from tests.protocol.conftest import Stage
from tests.protocol.events import (
    Ask,
    Cancel,
    Create,
    CutOff,
    Destroy,
    Event,
    Fault,
    Go,
    Hang,
    Kill,
    KillWorkers,
    Lose,
    LoseVault,
    Outage,
    Persist,
    PutBack,
    Request,
    Resume,
    TakeGpu,
    TakeSnapshot,
    Terminate,
    Touch,
    Trouble,
    Work,
    WriteOn,
)
from tests.protocol.random_schedules import PLACES_OF_SLEEPERS
from tests.protocol.verdict import GOOD

PAUSE, WAKE = Ask(0, InstanceAction.PAUSE), Ask(0, InstanceAction.WAKE)
RESUME, HIBERNATE = Ask(0, InstanceAction.RESUME), Ask(0, InstanceAction.HIBERNATE)
UP: list[Event] = [Create(0), Go(40)]
PAUSED: list[Event] = [*UP, PAUSE, Go(40)]
HIBERNATED: list[Event] = [*UP, HIBERNATE, Go(60)]
LIFE: list[Event] = [*PAUSED, WAKE, Go(30), HIBERNATE, Go(60), WAKE, Go(60)]
"""Once through all that it can be."""

SLEEPING: dict[str, list[Event]] = {
    "paused and woken": [*PAUSED, WAKE, Go(40)],
    "paused and resumed": [*PAUSED, RESUME, Go(40)],
    "hibernated and woken": [*HIBERNATED, WAKE, Go(60)],
    "hibernated from a pause": [*PAUSED, HIBERNATE, Go(40), WAKE, Go(60)],
    "woken by another machine": [*PAUSED, TakeGpu(0), WAKE, Go(90)],
    "a queued start fires late": [*PAUSED, TakeGpu(0), WAKE, Go(4), TakeGpu(0, back=True), Go(90)],
    "its start is taken and nothing comes of it": [*PAUSED, Trouble(Request.START, Fault.IGNORED, 1), WAKE, Go(90)],
    "its machine is lost while it is paused": [*PAUSED, Lose(0), Go(60), WAKE, Go(60)],
    "its machine is lost in use": [*UP, TakeSnapshot(0), Go(20), Lose(0), Go(60), WAKE, Go(60)],
    "its machine is lost in use, and nothing was saved": [*UP, Lose(0), Go(60), WAKE, Go(60)],
    "its machine is lost while it moves there": [*HIBERNATED, WAKE, Go(7), Lose(0), Go(90)],
    "stopped in the console": [*UP, Touch(0, start=False), Go(60), WAKE, Go(60)],
    "stopped in the console, with a snapshot of an earlier pause": [
        *(*PAUSED, WAKE, Go(30), Touch(0, start=False), Go(60)),
        *(HIBERNATE, Go(60), WAKE, Go(60)),
    ],
    "nobody gets in at its second pause": [*PAUSED, WAKE, Go(30), CutOff(0), HIBERNATE, Go(120)],
    "the vault is away at its second pause": [*PAUSED, WAKE, Go(30), LoseVault(), HIBERNATE, Go(120)],
    "started in the console": [*PAUSED, Touch(0, start=True), Go(60)],
    "nobody gets in when it shall pause": [*UP, CutOff(0), PAUSE, Go(120), WAKE, Go(60)],
    "nobody gets in after its start": [*PAUSED, WAKE, Go(2), CutOff(0), Go(120)],
    "the vault is away when it shall pause": [*UP, LoseVault(), PAUSE, Go(90), HIBERNATE, Go(60), WAKE, Go(60)],
    "the vault is away when it is paused": [*PAUSED, LoseVault(), HIBERNATE, Go(90)],
    "its snapshot put back": [*UP, TakeSnapshot(0), Go(30), PutBack(0, 0), Go(40), PAUSE, Go(40), WAKE, Go(40)],
    "its snapshot put back while it sleeps": [*PAUSED, PutBack(0, 0), Go(60), HIBERNATE, Go(60), WAKE, Go(60)],
    "its snapshot on a new instance": [*UP, TakeSnapshot(0), Go(30), PutBack(0, 0, anew=True), Go(60), Destroy(0)],
    "the stop is not heard for long, and it is woken": [
        *UP,
        Trouble(Request.STOP, Fault.BAD_GATEWAY, 20),
        PAUSE,
        Go(20),
        WAKE,
        Go(100),
    ],
    "one odd look, then nobody of us looks for long": [
        *UP,
        Trouble(Request.LIST, Fault.EMPTY, 1),
        Trouble(Request.SHOW, Fault.ABSENT, 1),
        Go(41),
        Outage(120),
        Go(60),
    ],
    "nobody of us works while it boots": [Create(0), Go(3), Outage(90), Go(60)],
    "nobody of us works while it falls asleep": [*UP, PAUSE, Go(6), Outage(90), Go(60), WAKE, Go(60)],
    "no offer to wake on": [*HIBERNATED, Trouble(Request.RENT, Fault.OFFER_GONE, 6), WAKE, Go(60), WAKE, Go(60)],
}


@pytest.mark.parametrize("since", sampled([3, 1, 4, 5, 7], 3))
def test_a_wish_that_no_flow_was_told_of_is_read_before_the_machine_is_told_to_stop(stage: Stage, since: int) -> None:
    untold = Ask(0, InstanceAction.WAKE, told=False)
    assert stage.play([*UP, PAUSE, Go(since), untold, Go(60)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.RUNNING]


@pytest.mark.parametrize(("flow", "since"), sampled(product(range(3), [0, 2, 6]), 9))
def test_a_cancel_click_ends_nothing(stage: Stage, flow: int, since: int) -> None:
    """On the flow of the instance, of its machine, of the account's watch: while it runs, falls asleep, and wakes."""
    assert stage.play([*UP, Cancel(flow), Go(60)]) == GOOD
    assert stage.play([*UP, PAUSE, Go(since), Cancel(flow), Go(60), WAKE, Go(since), Cancel(flow), Go(60)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.RUNNING]
    assert len(stage.world.books.machines) == 1


def test_a_pause_goes_on_protected_though_both_its_flows_are_cancelled(stage: Stage) -> None:
    assert stage.play([*UP, PAUSE, Go(2), Cancel(0), Cancel(1), Go(60)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.PAUSED]
    assert stage.rows(select(Instance.warnings)) == [[]]
    assert stage.play([*UP, PAUSE, Go(2), Cancel(0), Cancel(1), Go(60), WAKE, Go(60)]) == GOOD


DENIED = [Trouble(Request.LIST, Fault.EMPTY, 40), Trouble(Request.SHOW, Fault.ABSENT, 40)]
KEPT: dict[str, tuple[list[Event], InstanceStatus]] = {
    "while it runs": ([*UP, TakeSnapshot(0), Go(20), *DENIED, Go(60)], InstanceStatus.RUNNING),
    "while it runs and nobody gets in": ([*UP, CutOff(0), *DENIED, Go(100)], InstanceStatus.RUNNING),
    "while it falls asleep": ([*UP, PAUSE, Go(3), *DENIED, Go(100)], InstanceStatus.PAUSED),
    "while it is paused": ([*UP, LoseVault(), PAUSE, Go(60), *DENIED, Go(100)], InstanceStatus.PAUSED),
    "while it wakes": ([*PAUSED, *DENIED, WAKE, Go(60)], InstanceStatus.RUNNING),
}


@pytest.mark.parametrize("name", sampled(KEPT, 3))
def test_a_machine_that_its_cloud_denies_is_not_lost_while_a_witness_knows_it(stage: Stage, name: str) -> None:
    """The listing and the page lie together: the machine answers us, or the cloud still takes a key for it."""
    schedule, status = KEPT[name]
    assert stage.play(schedule) == GOOD
    assert stage.statuses_at_rest == [status]
    assert len(stage.world.books.machines) == 1


def test_a_word_of_the_watch_that_never_came_to_stand_in_the_row_does_not_hold_for_ever(stage: Stage) -> None:
    """It tells first: should it die in between, the machine is seen as it always was by its row, and nobody is told."""
    denied = [Trouble(Request.LIST, Fault.EMPTY, 1), Trouble(Request.SHOW, Fault.ABSENT, 1)]
    assert stage.play([*PAUSED, *denied, Kill("watch-told"), Go(30), WAKE, Go(100)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.RUNNING]
    assert len(stage.world.books.machines) == 1


def test_a_few_looks_that_show_a_paused_machine_running_are_nobodys_wish(stage: Stage) -> None:
    odd = Trouble(Request.LIST, Fault.ALL_RUNNING, 3)
    assert stage.play([*PAUSED, odd, Go(60)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.PAUSED]
    assert stage.rows(select(func.count()).where(TimelineEvent.text.contains("at the provider, not by us"))) == [0]


UNHEARD_STOPS = Trouble(Request.STOP, Fault.BAD_GATEWAY, 40)
WRITTEN_ON: dict[str, list[Event]] = {
    "a program does not end": [*UP, WriteOn(0), HIBERNATE, Go(90)],
    "a program does not end, and the stop comes late": [
        *(*UP, WriteOn(0), Trouble(Request.STOP, Fault.LATE, 3)),
        *(HIBERNATE, Go(150)),
    ],
    "somebody works on it, for the stop is not heard": [*UP, UNHEARD_STOPS, HIBERNATE, Go(30), Work(0), Go(200)],
}


@pytest.mark.parametrize("name", sampled(WRITTEN_ON, 3))
def test_what_may_have_written_after_its_last_snapshot_keeps_its_disk(stage: Stage, name: str) -> None:
    """A hibernation that is asked for all the same is refused with the reason, and it wakes with all its files."""
    assert stage.play([*WRITTEN_ON[name], HIBERNATE, Go(40)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.PAUSED]
    assert "its machine's disk is kept" in str(stage.rows(select(Instance.warnings)))
    assert stage.play([*WRITTEN_ON[name], WAKE, Go(60)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.RUNNING]
    assert len(stage.world.books.machines) == 1


def test_a_machine_whose_programs_nobody_can_end_keeps_its_disk(stage: Stage) -> None:
    assert stage.play([*UP, HIBERNATE, Go(4), CutOff(0), Go(150)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.PAUSED]


def test_what_persists_only_since_its_last_snapshot_keeps_its_disk_until_it_is_saved(stage: Stage) -> None:
    assert stage.play([*PAUSED, Persist(0, "/data"), HIBERNATE, Go(40)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.PAUSED]
    assert stage.play([*PAUSED, Persist(0, "/data"), WAKE, Go(30), HIBERNATE, Go(60)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.HIBERNATED]


def _no_offers_for(tries: int) -> Trouble:
    return Trouble(Request.SEARCH, Fault.BAD_GATEWAY, tries)


def test_who_destroys_it_does_not_wait_until_offers_are_found(stage: Stage) -> None:
    assert stage.play([*HIBERNATED, _no_offers_for(100), WAKE, Go(20), Destroy(0), Go(60)]) == GOOD
    took = func.extract("epoch", Instance.ended_at - Instance.requested_at)
    assert stage.rows(select(took))[0] < 30


@pytest.mark.parametrize(("tries", "until"), sampled([(4, 6), (2, 1), (3, 3), (6, 10)], 4))
def test_a_wake_that_was_called_off_fails_no_later_one(stage: Stage, tries: int, until: int) -> None:
    """It looked for an offer in vain when its owner wanted it no longer, and then they wanted it after all."""
    assert stage.play([*HIBERNATED, _no_offers_for(tries), WAKE, Go(3), HIBERNATE, Go(until), WAKE, Go(90)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.RUNNING]
    (report,) = stage.rows(select(Instance.last_wake))
    assert report["worked"], report


def test_who_wakes_it_does_not_wait_until_the_vault_is_tidied(stage: Stage) -> None:
    """Its last snapshot is verified, and then the store is away for minutes."""
    lost = [*UP, Hang("snapshot-verified"), PAUSE, Go(10), LoseVault(), Resume(0), Go(10)]
    assert stage.play([*lost, WAKE, Go(120)]) == GOOD
    assert stage.world.gates.passed
    (report,) = stage.rows(select(Instance.last_wake))
    assert report["seconds"] < 60, report


def test_a_stop_that_comes_late_alone_is_waited_for_and_its_files_are_saved(stage: Stage) -> None:
    assert stage.play([*UP, Trouble(Request.STOP, Fault.LATE, 3), HIBERNATE, Go(150)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.HIBERNATED]


@pytest.mark.parametrize("name", sampled(SLEEPING, 5))
def test_it_sleeps_and_wakes(stage: Stage, name: str) -> None:
    assert stage.play(SLEEPING[name]) == GOOD


@pytest.mark.parametrize("name", sampled(["woken by another machine", "paused and woken", "hibernated and woken"], 3))
def test_what_is_woken_runs(stage: Stage, name: str) -> None:
    assert stage.play(SLEEPING[name]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.RUNNING]


@pytest.mark.parametrize("since", sampled([5, 0, 1, 9, 11, 30], 3))
def test_its_owner_changes_their_mind_in_the_middle(stage: Stage, since: int) -> None:
    assert stage.play([*UP, HIBERNATE, Go(since), WAKE, Go(since), PAUSE, Go(since), WAKE, Go(60)]) == GOOD


@pytest.mark.long
@pytest.mark.parametrize("since", range(0, 40, 2))
@pytest.mark.parametrize("then", [PAUSE, HIBERNATE, Destroy(0), Lose(0), KillWorkers(), Touch(0, start=False)])
def test_something_comes_between_at_each_moment(stage: Stage, since: int, then: Event) -> None:
    assert stage.play([*UP, PAUSE, Go(since), then, Go(since), WAKE, Go(since), then, Go(60)]) == GOOD
    assert stage.play([*HIBERNATED, WAKE, Go(since), then, Go(60), WAKE, Go(60)]) == GOOD


@pytest.mark.long
@pytest.mark.parametrize("name", SLEEPING)
@pytest.mark.parametrize("every", [1, 2, 3])
def test_workers_die_and_flows_are_terminated_all_the_time(stage: Stage, name: str, every: int) -> None:
    killed: list[Event] = [each for event in SLEEPING[name] for each in (event, KillWorkers(), Go(every))]
    assert stage.play(killed) == GOOD
    ended: list[Event] = [each for event in SLEEPING[name] for each in (event, Go(every), Terminate(every), Go(30))]
    assert stage.play(ended) == GOOD


@pytest.mark.long
@pytest.mark.parametrize("place", PLACES_OF_SLEEPERS)
def test_killed_or_hanging_at_every_place(stage: Stage, place: str) -> None:
    assert stage.play([Kill(place), *LIFE]) == GOOD
    assert stage.world.gates.passed == {place}
    assert stage.play([Hang(place), *LIFE, Resume(0), Go(60)]) == GOOD
