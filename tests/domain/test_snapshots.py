"""What is the newest state, what may go: as tables and as properties."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.snapshots.phases import SnapshotStatus
from domain.snapshots.snapshots import (
    STOP_LANDS_WITHIN,
    Disk,
    SnapshotFacts,
    covers,
    holds_all,
    is_last,
    newest,
    prune_is_due,
    to_forget,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def snapshot(number: int, **changes: object) -> SnapshotFacts:
    values = {"id": f"snap_{number}", "epoch": 1, "final": True, "taken_at": NOON + timedelta(minutes=number)}
    return SnapshotFacts.model_validate(values | changes)


def test_the_newest_state_is_the_last_ready_one_of_the_epoch() -> None:
    rows = [
        snapshot(1),
        snapshot(2, verified=False),
        snapshot(3, status=SnapshotStatus.FAILED),
        snapshot(4, status=SnapshotStatus.CREATING, taken_at=None),
        snapshot(5, epoch=0),
    ]
    assert newest(rows, 1) == rows[1]
    assert newest(rows, 2) is None
    assert newest([], 1) is None


def test_one_of_all_that_persists_goes_before_a_later_one_of_less() -> None:
    whole, part = snapshot(1, paths=["/"]), snapshot(2, paths=["/workspace/a"])
    assert newest([whole, part], 1, ["/workspace"]) == whole
    assert newest([part], 1, ["/workspace"]) == part
    assert to_forget([whole, part], 1, 0, ["/workspace"]) == ["snap_2"]
    assert is_last("snap_1", [whole, part], 1, ["/workspace"])


@pytest.mark.parametrize(
    ("paths", "persist", "all_of_it"),
    [
        (["/workspace", "/root"], ["/root", "/workspace"], True),
        (["/"], ["/workspace"], True),
        (["/workspace"], ["/workspace/a"], True),
        (["/workspace/a"], ["/workspace"], False),
        (["/work"], ["/workspace"], False),
        ([], ["/workspace"], False),
    ],
)
def test_what_it_covers(paths: list[str], persist: list[str], all_of_it: bool) -> None:
    assert covers(paths, persist) is all_of_it


SAVED = snapshot(0, lease_id="lease_1", paths=["/workspace"], ended_at=NOON + timedelta(minutes=1))
DISK = Disk(lease_id="lease_1", is_stopped=True, ran_until=NOON, stopped_at=NOON + timedelta(minutes=1, seconds=9))
LATE = NOON + timedelta(minutes=1, seconds=1) + STOP_LANDS_WITHIN


def test_what_holds_all_is_final_and_whole_and_of_the_machine_as_it_was_stopped() -> None:
    assert holds_all(SAVED, ["/workspace"], DISK)


@pytest.mark.parametrize(
    ("of_snapshot", "of_disk"),
    [
        ({"final": False}, {}),
        ({"paths": ["/workspace/a"]}, {}),
        ({"lease_id": "lease_0"}, {}),
        ({"status": SnapshotStatus.FAILED}, {}),
        ({"ended_at": None}, {}),
        ({}, {"is_stopped": False}),
        ({}, {"ran_until": NOON + timedelta(seconds=1)}),
        ({}, {"ran_until": None}),
        ({}, {"stopped_at": None}),
        ({}, {"stopped_at": LATE}),
    ],
)
def test_less_than_that_holds_not_all(of_snapshot: dict[str, object], of_disk: dict[str, object]) -> None:
    saved, disk = SAVED.model_copy(update=of_snapshot), DISK.model_copy(update=of_disk)
    assert not holds_all(saved, ["/workspace"], disk)


def test_the_oldest_unlabelled_ones_are_forgotten() -> None:
    rows = [snapshot(1, label="dear"), snapshot(2), snapshot(3), snapshot(4), snapshot(5)]
    assert to_forget(rows, 1, 2) == ["snap_3", "snap_2"]
    assert to_forget(rows, 1, 0) == ["snap_4", "snap_3", "snap_2"]


SNAPSHOTS = st.lists(
    st.builds(
        snapshot,
        st.integers(0, 50),
        epoch=st.integers(0, 2),
        status=st.sampled_from(SnapshotStatus),
        verified=st.booleans(),
        label=st.none() | st.just("dear"),
    ),
    unique_by=lambda each: each.id,
)


@given(SNAPSHOTS, st.integers(0, 2), st.integers(0, 5))
def test_what_must_never_go_never_goes(rows: list[SnapshotFacts], epoch: int, kept: int) -> None:
    going = set(to_forget(rows, epoch, kept))
    left = [each for each in rows if each.id not in going]
    assert newest(left, epoch) == newest(rows, epoch)
    verified = newest([each for each in rows if each.verified], epoch)
    assert verified is None or verified in left
    assert all(each.label is None and each.is_ready for each in rows if each.id in going)
    if any(each.is_ready for each in rows):
        assert any(each.is_ready for each in left)
        assert any(is_last(each.id, rows, epoch) for each in left)


def test_room_is_made_with_each_fifth() -> None:
    assert [prune_is_due(1, before) for before in range(6)] == [False, False, False, False, True, False]
    assert prune_is_due(7, 0)
    assert not prune_is_due(0, 5)
