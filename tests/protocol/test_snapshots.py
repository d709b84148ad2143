"""Snapshots that are put back in part, deleted, or all that is left when a machine is lost."""

from typing import Any

import pytest
from sqlalchemy import func, select

from db.instances.tables import Instance
from db.snapshots.tables import Snapshot
from db.tables import Event as TimelineEvent
from domain.instances.phases import InstanceStatus
from tests.long_runs import sampled
from tests.protocol.conftest import Stage
from tests.protocol.events import DeleteSnapshot, Event, Go, Hang, Lose, Persist, PutBack, Resume, TakeSnapshot
from tests.protocol.test_sleeping import HIBERNATE, HIBERNATED, PAUSED, UP, WAKE
from tests.protocol.verdict import GOOD

PART = TakeSnapshot(0, part=True)
LOST: list[Event] = [Lose(0), Go(60)]
PUT_BACK_IN_PART: list[Event] = [*UP, PART, Go(20), PutBack(0, 0), Go(40)]


def test_the_rest_of_the_files_comes_back_when_a_part_was_put_back_before_the_machine_was_lost(stage: Stage) -> None:
    """What was there was saved before that; its owner is told what came after it."""
    assert stage.play([*PUT_BACK_IN_PART, *LOST, DeleteSnapshot(0, -1), WAKE, Go(60)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.RUNNING]
    assert _deleted(stage) == []
    assert "came after" in _warnings(stage)
    assert "was never verified" in _warnings(stage)


def test_a_part_that_is_put_back_into_a_sleeping_instance_comes_over_the_rest_of_its_files(stage: Stage) -> None:
    asleep: list[Event] = [*UP, PART, Go(20), HIBERNATE, Go(60)]
    assert stage.play([*asleep, PutBack(0, 0), Go(90)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.RUNNING]
    assert stage.rows(select(Instance.epoch)) == [2]
    assert stage.rows(select(Snapshot.epoch).order_by(Snapshot.created_at))[0] == 2


def test_its_owner_is_told_that_only_a_part_is_left(stage: Stage) -> None:
    assert stage.play([*UP, PART, Go(20), *LOST]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.HIBERNATED]
    assert "Only a part of its files is in the vault" in _warnings(stage)
    told = TimelineEvent.kind == "hibernated", TimelineEvent.text.contains("Only a part of its files is in the vault")
    assert stage.rows(select(func.count()).where(*told)) == [2]


def test_its_owner_is_told_though_it_was_to_be_hibernated_when_its_machine_was_lost(stage: Stage) -> None:
    assert stage.play([*UP, PART, Go(20), HIBERNATE, Go(2), Lose(0), Go(90)]) == GOOD
    assert "Only a part of its files is in the vault" in _warnings(stage)


@pytest.mark.long
def test_nobody_is_warned_of_what_is_whole(stage: Stage) -> None:
    assert stage.play([*HIBERNATED, WAKE, Go(60)]) == GOOD
    assert stage.rows(select(Instance.warnings)) == [[]]


DELETED_IN_VAIN: dict[str, list[Event]] = {
    "hibernated": [*HIBERNATED, DeleteSnapshot(0, -1)],
    "to be hibernated": [*PAUSED, HIBERNATE, DeleteSnapshot(0, -1)],
    "its machine is given up": [*PAUSED, Hang("request-release"), HIBERNATE, Go(9), DeleteSnapshot(0, -1), Resume(0)],
    "it wakes from hibernation": [*HIBERNATED, WAKE, DeleteSnapshot(0, -1)],
    "it wakes, and another machine boots": [*HIBERNATED, WAKE, Go(4), DeleteSnapshot(0, -1)],
    "it wakes, and its files are restored": [*HIBERNATED, WAKE, Go(8), DeleteSnapshot(0, -1)],
    "its machine was lost": [*PAUSED, Lose(0), Go(60), WAKE, Go(4), DeleteSnapshot(0, -1)],
}


@pytest.mark.parametrize("name", sampled(DELETED_IN_VAIN, 4))
def test_the_only_copy_of_its_files_is_not_deleted(stage: Stage, name: str) -> None:
    assert stage.play([*DELETED_IN_VAIN[name], Go(90), WAKE, Go(60)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.RUNNING]
    assert _deleted(stage) == []


def test_what_a_machine_has_too_may_be_deleted_and_then_the_machine_is_kept(stage: Stage) -> None:
    assert stage.play([*PAUSED, DeleteSnapshot(0, -1), HIBERNATE, Go(60)]) == GOOD
    assert stage.statuses_at_rest == [InstanceStatus.PAUSED]
    assert len(stage.world.books.machines) == 1
    assert len(_deleted(stage)) == 1


@pytest.mark.long
def test_what_came_back_may_be_deleted(stage: Stage) -> None:
    assert stage.play([*HIBERNATED, WAKE, Go(60), DeleteSnapshot(0, -1), Go(10)]) == GOOD
    assert len(_deleted(stage)) == 1


@pytest.mark.long
def test_an_older_one_that_was_put_back_whole_is_its_newest_state_though_less_persisted_then(stage: Stage) -> None:
    assert stage.play([*PAUSED, WAKE, Go(30), PutBack(0, 0), Go(40), *LOST, WAKE, Go(60)]) == GOOD
    widened: list[Event] = [*PAUSED, WAKE, Go(30), Persist(0, "/data"), PutBack(0, 0), Go(40), *LOST, WAKE, Go(60)]
    assert stage.play(widened) == GOOD


def _warnings(stage: Stage) -> str:
    return str(stage.rows(select(Instance.warnings)))


def _deleted(stage: Stage) -> list[Any]:
    return stage.rows(select(Snapshot.id).where(Snapshot.deleted_at.is_not(None)))
