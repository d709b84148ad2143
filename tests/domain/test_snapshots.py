"""What is the newest state, what may go: as tables and as properties."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.instances.phases import Desired, InstanceKind, InstanceStatus
from domain.lifecycles import LIFECYCLES
from domain.machines.phases import LeaseState
from domain.snapshots.phases import SnapshotStatus
from domain.snapshots.snapshots import (
    STOP_LANDS_WITHIN,
    Disk,
    SnapshotFacts,
    Whereabouts,
    covers,
    holds_all,
    is_only_copy,
    latest,
    newest,
    prune_is_due,
    to_forget,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def snapshot(number: int, **changes: object) -> SnapshotFacts:
    values = {"id": f"snap_{number}", "epoch": 1, "final": True, "taken_at": NOON + timedelta(minutes=number)}
    return SnapshotFacts.model_validate(values | changes)


def test_the_newest_state_is_the_last_ready_one_of_the_last_epoch() -> None:
    rows = [
        snapshot(1),
        snapshot(2, verified=False),
        snapshot(3, status=SnapshotStatus.FAILED),
        snapshot(4, status=SnapshotStatus.CREATING, taken_at=None),
        snapshot(5, epoch=0),
    ]
    assert newest(rows) == rows[1]
    assert newest([]) is None


def test_one_of_all_that_persists_goes_before_a_later_one_of_less() -> None:
    whole, part = snapshot(1, paths=["/"]), snapshot(2, paths=["/workspace/a"])
    assert newest([whole, part], ["/workspace"]) == whole
    assert newest([part], ["/workspace"]) == part
    assert latest([whole, part]) == part


def test_what_was_put_back_in_part_is_not_the_newest_state() -> None:
    """The one of all that was saved before it, under the epoch before, is; both are kept, whatever came before them."""
    whole, before = snapshot(1, epoch=0, paths=["/"]), snapshot(5, epoch=0, paths=["/"])
    older, part = snapshot(2, epoch=0, paths=["/workspace/b"]), snapshot(3, paths=["/workspace/a"])
    rows = [whole, older, part, before]
    assert newest(rows, ["/workspace"]) == before
    assert latest(rows) == part
    assert to_forget(rows, 0, ["/workspace"]) == ["snap_2", "snap_1"]


def test_what_was_put_back_as_a_whole_is_the_newest_state_though_later_ones_were_saved_before_it() -> None:
    put_back, before = snapshot(1, paths=["/"]), snapshot(5, epoch=0, paths=["/"])
    assert newest([put_back, before], ["/workspace"]) == put_back


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
    assert to_forget(rows, 2) == ["snap_3", "snap_2"]
    assert to_forget(rows, 0) == ["snap_4", "snap_3", "snap_2"]


SNAPSHOTS = st.lists(
    st.builds(
        snapshot,
        st.integers(0, 50),
        epoch=st.integers(0, 2),
        status=st.sampled_from(SnapshotStatus),
        verified=st.booleans(),
        label=st.none() | st.just("dear"),
        paths=st.sampled_from([["/"], ["/workspace"], ["/workspace/a"]]),
    ),
    unique_by=lambda each: each.id,
)


@given(SNAPSHOTS, st.integers(0, 5), st.sampled_from([["/workspace"], ["/data"]]))
def test_what_must_never_go_never_goes(rows: list[SnapshotFacts], kept: int, persist: list[str]) -> None:
    going = set(to_forget(rows, kept, persist))
    left = [each for each in rows if each.id not in going]
    assert newest(left, persist) == newest(rows, persist)
    assert latest(left) == latest(rows)
    verified = newest([each for each in rows if each.verified], persist)
    assert verified is None or verified in left
    assert all(each.label is None and each.is_ready for each in rows if each.id in going)
    if any(each.is_ready for each in rows):
        assert any(each.is_ready for each in left)
        assert any(is_only_copy(each.id, rows, persist, HIBERNATED) for each in left)


HIBERNATED = Whereabouts(
    lifecycle=LIFECYCLES[InstanceKind.INTERACTIVE],
    status=InstanceStatus.HIBERNATED,
    desired=Desired.HIBERNATED,
    data_lease=LeaseState.CLOSED,
    data_lease_wanted=False,
    is_moving=False,
)
WITH_MACHINE = HIBERNATED.model_copy(
    update={
        "status": InstanceStatus.PAUSED,
        "desired": Desired.PAUSED,
        "data_lease": LeaseState.STOPPED,
        "data_lease_wanted": True,
    }
)


def is_the_only_copy(**changes: object) -> bool:
    return is_only_copy("snap_1", [snapshot(1)], [], WITH_MACHINE.model_copy(update=changes))


def test_the_only_copy_goes_by_where_the_files_are() -> None:
    """Of an instance that may wake: they are on a machine that is held and stays, or the newest snapshot is all."""
    leases = [None, *LeaseState]
    for kind, status, desired, lease in product(InstanceKind, InstanceStatus, Desired, leases):
        for wanted, moving in product((True, False), repeat=2):
            where = Whereabouts(
                lifecycle=LIFECYCLES[kind],
                status=status,
                desired=desired,
                data_lease=lease,
                data_lease_wanted=wanted,
                is_moving=moving,
            )
            may_wake = kind is InstanceKind.INTERACTIVE and status not in OVER and desired is not Desired.DESTROYED
            hibernates = status is InstanceStatus.HIBERNATING or desired is Desired.HIBERNATED
            stays = lease in HELD and wanted and not hibernates and not moving
            assert is_only_copy("snap_1", [snapshot(1)], [], where) is (may_wake and not stays), where
            assert not is_only_copy("snap_0", [snapshot(0), snapshot(1)], [], where)


OVER = (InstanceStatus.DESTROYING, InstanceStatus.DESTROYED, InstanceStatus.FAILED)
HELD = (LeaseState.RUNNING, LeaseState.STOPPING, LeaseState.STOPPED, LeaseState.STARTING)


def test_while_it_wakes_from_hibernation_its_snapshot_is_all_there_is() -> None:
    waking = {"status": InstanceStatus.RESUMING, "desired": Desired.RUNNING}
    assert not is_the_only_copy(**waking)
    assert is_the_only_copy(**waking, data_lease=LeaseState.CLOSED, data_lease_wanted=False)
    assert is_the_only_copy(**waking, data_lease_wanted=False)
    assert is_the_only_copy(**waking, is_moving=True)


def test_a_part_that_lies_over_the_newest_state_is_the_only_copy_too() -> None:
    rows = [snapshot(1, paths=["/"]), snapshot(2, paths=["/workspace/a"]), snapshot(3, paths=["/workspace/a"])]
    only = [each.id for each in rows if is_only_copy(each.id, rows, ["/workspace"], HIBERNATED)]
    assert only == ["snap_1", "snap_3"]


def test_room_is_made_with_each_fifth() -> None:
    assert [prune_is_due(1, before) for before in range(6)] == [False, False, False, False, True, False]
    assert prune_is_due(7, 0)
    assert not prune_is_due(0, 5)
